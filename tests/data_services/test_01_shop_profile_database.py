"""shop_profile's engines, its users and the profile in one query; its migrations up and down."""

import asyncio
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import shop_profile
from alembic import command
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_profile.database import (
    fill,
    make_async_engine,
    make_engine,
    user_profile,
    user_profile_async,
)
from shop_profile.models import Address, Base, City, Country, User
from sqlalchemy import Connection, Engine, NullPool, event, func, inspect, select, text
from sqlalchemy.exc import IntegrityError, InvalidRequestError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy_parts.migrating import alembic

from course.settings import TODAY
from course.workspace import own_schema
from tests.stack.private import eventually
from tests.support import run_python

SCHEMA, MIGRATED = "test_shop_profile", "test_shop_profile_migrated"


@pytest.fixture(scope="module")
def engine(service: Callable[[str], str]) -> Iterator[Engine]:
    """The shop's users in a schema of the tests' own; tests here only read or roll back."""
    engine = make_engine(service("postgres"), SCHEMA)
    with own_schema(SCHEMA):
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            fill(connection)
        yield engine
        engine.dispose()


@pytest.fixture
def empty(service: Callable[[str], str]) -> Iterator[Engine]:
    """A schema without tables, for migrations."""
    with own_schema(MIGRATED):
        yield make_engine(service("postgres"), MIGRATED, poolclass=NullPool)


def test_the_users_are_the_shops_customers(engine: Engine) -> None:
    profile = (
        select(User.user_id, User.name, User.email, User.registered_on, User.segment, User.points,
               City.name, Country.name)
        .join(User.address).join(Address.city).join(City.country).order_by(User.user_id)
    )  # fmt: skip
    truth = text("""
        SELECT customer_id, name, email, customers.registration_date, kind,
               floor(monetary / 10)::int, city, country
        FROM public.customers JOIN analytics.customer_kinds USING (customer_id) ORDER BY 1
    """)
    with engine.connect() as connection:
        found = connection.execute(profile).all()
        assert len(found) == 2_000
        assert found == connection.execute(truth).all()


def test_filling_twice_is_refused_and_new_users_follow_the_last(engine: Engine) -> None:
    with Session(engine) as session:
        with pytest.raises(IntegrityError):
            fill(session)
        session.rollback()
        assert session.scalar(select(func.count(User.user_id))) == 2_000
        ana = User(name="Ana", email="ana@x.eu", registered_on=TODAY, address_id=1)
        session.add(ana)
        session.flush()
        assert (ana.user_id > 2_000, ana.version, ana.points) == (True, 1, 0)


def test_a_profile_is_one_query_and_whole(engine: Engine) -> None:
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: sent.append(call[2]))
    with Session(engine) as session:
        user = user_profile(session, 123)
        assert user is not None
        place = user.address.street, user.address.city.name, user.address.city.country.name
        assert len(sent) == 1
        with pytest.raises(InvalidRequestError, match="not available"):
            _ = user.address.users
        assert user_profile(session, 1_000_000) is None

    async def asynchronously() -> tuple | None:
        live = make_async_engine(engine.url.render_as_string(hide_password=False)
                                 .replace("+psycopg2", ""), SCHEMA)  # fmt: skip
        async with AsyncSession(live) as session:
            user = await user_profile_async(session, 123)
            assert await user_profile_async(session, 1_000_000) is None
        await live.dispose()
        assert user is not None
        return user.address.street, user.address.city.name, user.address.city.country.name

    assert asyncio.run(asynchronously()) == place


def test_an_engine_keeps_to_its_schema(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="customers"):
        connection.execute(text("SELECT 1 FROM customers"))
    assert set(inspect(engine).get_table_names()) == set(Base.metadata.tables)


@pytest.mark.parametrize("name", ["", "a b", "a,public", "Shop", 'x"; DROP', "1a"])
def test_a_strange_schema_is_refused(name: str) -> None:
    for make in (make_engine, make_async_engine):
        with pytest.raises(ValueError, match="schema"):
            make("postgresql://a:b@127.0.0.1/c", name)


def test_options_of_the_url_are_kept(service: Callable[[str], str]) -> None:
    url = f"{service('postgres')}?options=-c%20statement_timeout%3D7s&application_name=named"
    with make_engine(url, "public", poolclass=NullPool).connect() as connection:
        shown = [connection.scalar(text(f"SHOW {name}"))
                 for name in ("statement_timeout", "application_name", "search_path")]  # fmt: skip
    assert shown == ["7s", "named", "public"]

    async def asynchronously() -> str:
        live = make_async_engine(f"{service('postgres')}?sslmode=prefer", "public")
        async with live.connect() as connection:
            path = await connection.scalar(text("SHOW search_path"))
        await live.dispose()
        return path

    assert asyncio.run(asynchronously()) == "public"


def place(connection: Connection, lines: list[str]) -> None:
    """One country with one city with an address for each line, in the old form."""
    connection.execute(text("TRUNCATE countries CASCADE"))
    connection.execute(text("INSERT INTO countries VALUES (1, 'Ukraine')"))
    connection.execute(text("INSERT INTO cities VALUES (1, 'Kyiv', 1)"))
    insert = "INSERT INTO addresses (address_id, line, city_id) VALUES (:key, :line, 1)"
    rows = [{"key": key, "line": line} for key, line in enumerate(lines)]
    if rows:
        connection.execute(text(insert), rows)


def lines_in(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT line FROM addresses ORDER BY address_id")))


def test_any_line_is_the_same_after_up_and_down_or_refused(empty: Engine) -> None:
    with empty.begin() as connection:
        command.upgrade(alembic(connection), "0001")
    words = st.text("ab, 1\n'é", max_size=8)

    @settings(max_examples=12, deadline=None)
    @given(lines=st.lists(words | st.builds("{}, {}".format, words, words), max_size=8))
    def there_and_back(lines: list[str]) -> None:
        with empty.begin() as connection:
            place(connection, lines)
        splits = [line.rpartition(", ") for line in lines]
        fits = all(street and code and "," not in code for street, _, code in splits)
        with empty.connect() as connection:
            if fits:
                command.upgrade(alembic(connection), "head")
                split = select(Address.street, Address.postcode).order_by(Address.address_id)
                found = connection.execute(split).all()
                assert found == [(street, code) for street, _, code in splits]
                command.downgrade(alembic(connection), "0001")
                connection.commit()
            else:
                with pytest.raises(IntegrityError):
                    command.upgrade(alembic(connection), "head")
                connection.rollback()
            assert lines_in(connection) == lines

    there_and_back()


def test_the_migrations_end_where_the_models_are_and_go_back_to_nothing(empty: Engine) -> None:
    with empty.begin() as connection:
        command.upgrade(alembic(connection), "head")
        command.check(alembic(connection))
        migrated = checks(connection)
        command.downgrade(alembic(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        Base.metadata.create_all(connection)
        assert checks(connection) == migrated


def checks(connection: Connection) -> list[tuple]:
    """What Alembic does not compare: the constraints, as PostgreSQL spells them."""
    query = """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = current_schema()::regnamespace
          AND conrelid <> 'alembic_version'::regclass ORDER BY 1, 2
    """
    return [tuple(row) for row in connection.execute(text(query))]


def test_the_command_line_migrates_a_schema_of_its_own(
    service: Callable[[str], str], tmp_path: Path
) -> None:
    service("postgres")
    settings_file = Path(shop_profile.__file__).with_name("alembic.ini")
    options = ("-m", "alembic", "-c", settings_file, "-x", f"schema={MIGRATED}")
    with own_schema(MIGRATED):
        for words in (("upgrade", "head"), ("check",), ("downgrade", "base")):
            result = run_python(*options, *words, cwd=tmp_path)
            assert result.returncode == 0, result.stderr


INSERT_AND_WAIT = """
import sys
from course.settings import TODAY
from shop_profile.database import make_engine
from shop_profile.models import User
from sqlalchemy.orm import Session

url, schema, committed, flushed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def new(number):
    email = f"killed{number}@x.eu"
    return User(name="Killed", email=email, registered_on=TODAY, address_id=1)
with Session(make_engine(url, schema)) as session:
    for number in range(committed):
        session.add(new(number))
    session.commit()
    session.get(User, 1).points += 1
    for number in range(committed, committed + flushed):
        session.add(new(number))
        session.flush()
    print("in the middle", flush=True)
    sys.stdin.read()
    session.commit()
"""
MIGRATE_AND_WAIT = """
import sys
from alembic import command
from shop_profile.database import make_engine
from sqlalchemy_parts.migrating import alembic

with make_engine(sys.argv[1], sys.argv[2]).begin() as connection:
    getattr(command, sys.argv[3])(alembic(connection), sys.argv[4])
    print("in the middle", flush=True)
    sys.stdin.read()
"""


def kill_in_the_middle(code: str, *arguments: str) -> None:
    """Run `code` until it says where it is, then kill -9."""
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "in the middle\n"
        finally:
            process.kill()


def is_free(engine: Engine, table: str) -> bool:
    """Whether nobody holds a lock on the table any more."""
    query = text("""
        SELECT count(*) FROM pg_locks
        WHERE relation = to_regclass(:table) AND pid <> pg_backend_pid()
    """)
    with engine.connect() as connection:
        return connection.scalar(query, {"table": table}) == 0


@pytest.mark.faults
def test_a_process_killed_in_mid_transaction_leaves_no_row(
    engine: Engine, service: Callable[[str], str], rng: random.Random
) -> None:
    committed, flushed = rng.randint(0, 5), rng.randint(1, 50)
    killed = select(func.count(User.user_id)).where(User.name == "Killed")
    mine = select(User.points, User.version).where(User.user_id == 1)
    with Session(engine) as session:
        before = session.execute(mine).one()
    arguments = service("postgres"), SCHEMA, str(committed), str(flushed)
    kill_in_the_middle(INSERT_AND_WAIT, *arguments)
    eventually(lambda: is_free(engine, "users"))
    with Session(engine) as session, session.begin():
        assert session.scalar(killed) == committed
        assert session.execute(mine).one() == before
        session.execute(text("DELETE FROM users WHERE name = 'Killed'"))


@pytest.mark.faults
def test_a_migration_killed_before_its_commit_changed_nothing(
    empty: Engine, service: Callable[[str], str], rng: random.Random
) -> None:
    lines = [f"Mill Lane {number}, {10_000 + number}" for number in range(rng.randint(1, 200))]
    start, move, target = rng.choice(
        [("0001", "upgrade", "head"), ("0001", "upgrade", "0002"), ("0003", "downgrade", "0001")]
    )
    with empty.begin() as connection:
        command.upgrade(alembic(connection), "0001")
        place(connection, lines)
        command.upgrade(alembic(connection), start)
    with empty.connect() as connection:
        before = checks(connection), connection.execute(text("TABLE addresses")).all()
    kill_in_the_middle(MIGRATE_AND_WAIT, service("postgres"), MIGRATED, move, target)
    eventually(lambda: is_free(empty, "addresses"))
    with empty.begin() as connection:
        after = checks(connection), connection.execute(text("TABLE addresses")).all()
        assert after == before
        getattr(command, move)(alembic(connection), target)
