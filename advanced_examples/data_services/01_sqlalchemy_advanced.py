"""SQLAlchemy: objects and rows, and the SQL between them.

You will see four models from Country to User and the SQL that they send: what a session writes and
when, 1,029 queries that become one, sums that the database computes, a change that is lost and how
a version number saves it, asyncio, and a migration of filled tables up and down again.

Run      python advanced_examples/data_services/01_sqlalchemy_advanced.py   (--step pauses)
Needs    PostgreSQL
Minutes  120
Next     02_mongodb_advanced.py
"""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from typing import Annotated

import sqlalchemy as sa
from shop_profile.database import make_engine, shop_rows
from shop_profile.models import NAMES
from sqlalchemy import ForeignKey, event, exc, func, insert, orm, select, update
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, Session, joinedload, mapped_column, relationship, selectinload
from sqlalchemy_parts.concurrency import async_session
from sqlalchemy_parts.locking import locking
from sqlalchemy_parts.migrating import migrations
from sqlalchemy_parts.size import objects_or_rows

from course import charts, connect
from course.lesson import Lesson, run
from course.measure import seconds
from course.settings import TODAY
from course.workspace import own_schema

SCHEMA = "data_01"
USERS, COMMITS, GOLD = 1_000, 200, 200  # a gold user has 200 points
Key = Annotated[int, mapped_column(sa.Identity(), primary_key=True)]


class Base(orm.DeclarativeBase):
    metadata = sa.MetaData(naming_convention=NAMES)  # a migration drops a constraint by its name
    type_annotation_map = {str: sa.Text}  # noqa: RUF012


class Country(Base):
    __tablename__ = "countries"
    country_id: Mapped[Key]
    name: Mapped[str] = mapped_column(unique=True)
    cities: Mapped[list["City"]] = relationship(back_populates="country", passive_deletes="all")


class City(Base):
    __tablename__ = "cities"
    __table_args__ = (sa.UniqueConstraint("country_id", "name"),)
    city_id: Mapped[Key]
    name: Mapped[str]
    country_id: Mapped[int] = mapped_column(ForeignKey("countries.country_id"))
    country: Mapped[Country] = relationship(back_populates="cities")
    addresses: Mapped[list["Address"]] = relationship(back_populates="city", passive_deletes="all")


class Address(Base):
    __tablename__ = "addresses"
    address_id: Mapped[Key]
    street: Mapped[str]
    postcode: Mapped[str]
    city_id: Mapped[int] = mapped_column(ForeignKey("cities.city_id"), index=True)
    city: Mapped[City] = relationship(back_populates="addresses")
    users: Mapped[list["User"]] = relationship(back_populates="address", passive_deletes="all")


class User(Base):
    __tablename__ = "users"
    __table_args__ = (
        sa.CheckConstraint("segment IN ('dormant', 'active', 'vip', 'at risk')", name="segment"),
        sa.CheckConstraint("points >= 0", name="points"),
    )
    user_id: Mapped[Key]
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    registered_on: Mapped[date]
    segment: Mapped[str | None]
    points: Mapped[int] = mapped_column(default=0, server_default="0")
    version: Mapped[int] = mapped_column(server_default="1")
    address_id: Mapped[int] = mapped_column(ForeignKey("addresses.address_id"), index=True)
    address: Mapped[Address] = relationship(back_populates="users")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012

    @orm.validates("email")
    def _normal_email(self, _name: str, email: str) -> str:
        if "@" not in email:
            raise ValueError(f"an email needs an @: {email!r}")
        return email.strip().lower()

    @hybrid_property
    def is_gold(self) -> bool:
        return self.points >= GOLD

    @hybrid_property
    def first_name(self) -> str:
        return self.name.split(" ")[0]

    @first_name.inplace.expression
    @classmethod
    def _first_name_in_sql(cls) -> sa.ColumnElement[str]:
        return func.split_part(cls.name, " ", 1)


@contextmanager
def statements(engine: sa.Engine) -> Iterator[list[str]]:
    """The SQL texts that `engine` sends while the block runs: an event listener notes them."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        sent.append(textwrap.indent(textwrap.fill(" ".join(sql.split()), 76), "    "))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def tables(lesson: Lesson, engine: sa.Engine) -> None:
    """Four classes, four tables.

    `Mapped[str]` is NOT NULL, `Mapped[str | None]` is not. A relationship is no column: the foreign
    key is, and `back_populates` names the other end. PostgreSQL makes no index for a foreign key,
    so we do. No class names a schema: the connection's search_path decides. The same models stand
    in `shop_profile.models`, where the API finds them.
    """
    Base.metadata.drop_all(engine)
    with statements(engine) as sent:
        Base.metadata.create_all(engine)
    print(next(sql for sql in sent if "CREATE TABLE users" in sql))
    columns = sa.inspect(engine).get_columns("users")
    optional = [column["name"] for column in columns if column["nullable"]]
    lesson.check("only the segment may be NULL", optional == ["segment"])


def crud(lesson: Lesson, engine: sa.Engine) -> None:
    """Create, read, update, delete.

    A session keeps the objects it knows and writes when it must: at a flush, before the next query,
    at the commit. It sorts the INSERTs by foreign keys and passes new keys on. One row is one
    object (identity map), so `get` asks for it once. An UPDATE holds only what changed. An address
    where somebody lives can't be deleted: that rule is the database's.
    """
    porto = City(name="Porto", country=Country(name="Portugal"))
    lesson.check("back_populates fills the other end", porto.country.cities == [porto])
    home = Address(street="Rua das Flores 7", postcode="40502", city=porto)
    ana = User(name="Ana Silva", email=" Ana@Example.com ", registered_on=TODAY, address=home)
    with Session(engine) as session, statements(engine) as sent:
        session.add(ana)
        session.commit()
        order = " → ".join(sql.split()[2] for sql in sent)
        lesson.check("one add wrote all four", order == "countries → cities → addresses → users")
        found = session.scalars(select(User).where(User.email == "ana@example.com")).one()
        lesson.check("one row is one object", found is ana)
        sent.clear()
        lesson.check("get sends nothing", session.get(User, found.user_id) is ana and not sent)
        ana.name = "Ana Sousa"
        session.commit()
        print(sent[-1])
        session.delete(home)
        with lesson.expected_error(exc.IntegrityError):
            session.flush()
        session.rollback()
        for row in (ana, home, porto, porto.country):
            session.delete(row)
        session.commit()
        left = session.scalar(select(func.count()).where(Country.name == "Portugal"))
    lesson.check("deleted in the right order, nothing is left", left == 0)


def transactions(lesson: Lesson, engine: sa.Engine) -> None:
    """Commit, rollback, savepoint.

    A session begins a transaction with its first statement; without a commit nothing stays.
    `begin()` commits at the end of its block and rolls back when an exception leaves it.
    `begin_nested()` is a SAVEPOINT: one bad row costs that row, not the whole import. After all
    of it we roll back ourselves.
    """
    with Session(engine) as session:
        session.add(Country(name="Atlantis"))
        session.flush()
    with lesson.expected_error(RuntimeError), Session(engine) as session, session.begin():
        session.add(Country(name="Atlantis"))
        session.flush()
        raise RuntimeError("something else went wrong")
    with Session(engine) as session, statements(engine) as sent:
        invented = select(Country).where(Country.name.in_(["Atlantis", "Avalon"]))
        nothing = session.scalars(invented).first() is None
        lesson.check("no commit or an exception: nothing stays", nothing)
        for name in ("Atlantis", "Atlantis", "Avalon"):
            try:
                with session.begin_nested():
                    session.add(Country(name=name))
            except exc.IntegrityError:
                print(f"    refused, it is there already: {name}")
        print(*(sql for sql in sent if "SAVEPOINT" in sql), sep="\n")
        lesson.check("the good rows stay", len(session.scalars(invented).all()) == 2)
        session.rollback()
        lesson.check("rollback takes all back", session.scalars(invented).first() is None)


def commit_each(session: Session, people: list[dict]) -> None:
    """Add people one by one, each in a transaction."""
    for row in people:
        session.add(User(**row))
        session.commit()


def bulk_insert(lesson: Lesson, engine: sa.Engine) -> None:
    """Load 2,000 people.

    A commit for each row waits for the server and its disk each time. `add_all` sends the rows
    together, but makes objects first. `insert(User)` takes dictionaries and makes none: it skips
    what objects do, such as our check of the email. Keys that we choose don't move the table's
    counter: without `setval` the next new row would collide.
    """
    with Session(engine) as session, session.begin():
        session.execute(sa.text("TRUNCATE countries CASCADE"))
        *others, (_, people) = shop_rows(session.connection())
        for model, rows in others:
            session.execute(insert(model), rows)
    ways = {
        "commit each": (people[:COMMITS], commit_each),
        "add_all": (people, lambda session, rows: session.add_all(User(**row) for row in rows)),
        "insert": (people, lambda session, rows: session.execute(insert(User), rows)),
    }
    speeds = {}
    for name, (rows, way) in ways.items():
        with Session(engine) as session:
            session.execute(sa.delete(User))
            took = seconds(lambda w=way, s=session, r=rows: (w(s, r), s.commit()))
            speeds[name] = round(len(rows) / took)
    lesson.table(speeds.items(), ["way", "rows/s"], "Bulk insert", measured=True)
    ratio = speeds["insert"] / speeds["commit each"]
    lesson.check("insert is at least 3x as fast as a commit each", ratio >= 3, f"{ratio:.1f}x")
    with Session(engine) as session, session.begin():
        counter = func.pg_get_serial_sequence("users", "user_id")
        session.execute(select(func.setval(counter, func.max(User.user_id))))
        lesson.check("all are there", session.scalar(select(func.count(User.user_id))) == 2_000)


def cities(engine: sa.Engine, options: tuple) -> tuple[str, ...]:
    """The city of each of the first 1,000 users, loaded as `options` say."""
    users = select(User).order_by(User.user_id).limit(USERS).options(*options)
    with Session(engine) as session:
        return tuple(user.address.city.name for user in session.scalars(users))


def n_plus_one(lesson: Lesson, engine: sa.Engine) -> None:
    """N+1: 1,000 users in 1,029 queries, or in one.

    A relationship loads when it is touched: 1 query for the users, then 1 for each address, and 1
    for each of 28 cities, which the session keeps. `joinedload` adds a JOIN: good for the parent of
    a row. `selectinload` asks once more for each 500 keys: good for lists, where a JOIN repeats the
    parent for every child. `raiseload` makes an error of what you forgot to load.
    """
    ways = {
        "lazy": (),
        "joinedload": (joinedload(User.address).joinedload(Address.city),),
        "selectinload": (selectinload(User.address).selectinload(Address.city),),
    }
    queries, took, answers = {}, {}, set()
    for way, options in ways.items():
        with statements(engine) as sent:
            answers.add(cities(engine, options))
        queries[way] = len(sent)
        took[way] = min(seconds(partial(cities, engine, options)) for _ in range(2))
    lesson.table(queries.items(), ["way", "queries"], f"The cities of {USERS:,} users")
    lesson.table(took.items(), ["way", "seconds"], "The same", measured=True)
    lesson.chart(charts.bars(queries, "One query, or one for each user", "queries"), "n_plus_one")
    lesson.check("lazy: 1 + 1,000 addresses + 28 cities", queries["lazy"] == 1 + USERS + 28)
    lesson.check("joinedload: 1", queries["joinedload"] == 1)
    lesson.check("selectinload: 1 + 2 for the addresses + 1", queries["selectinload"] == 4)
    lesson.check("all give the same cities", len(answers) == 1)
    ratio = took["lazy"] / took["joinedload"]
    lesson.check("joinedload is at least 3x as fast as lazy", ratio >= 3, f"{ratio:.1f}x")
    with Session(engine) as session, lesson.expected_error(exc.InvalidRequestError):
        forgetful = select(User).options(joinedload(User.address), orm.raiseload("*"))
        _ = session.scalars(forgetful).first().address.city


def aggregation(lesson: Lesson, engine: sa.Engine) -> None:
    """Let the database count: COUNT, AVG, GROUP BY, and hybrid properties.

    Seven rows come back instead of 2,000 objects. `join(Country.cities)` knows the foreign key. A
    hybrid property is Python on an object and SQL on the class. A comparison works in both as it
    stands; other code needs its SQL beside it. Two spellings of one rule: test that they agree.
    """
    figures = func.count(User.user_id), func.round(func.avg(User.points))
    homes = select(Country.name, *figures).join(Country.cities).join(City.addresses)
    by_country = homes.join(Address.users).group_by(Country.name).order_by(figures[0].desc())
    by_segment = select(User.segment, *figures).group_by(User.segment).order_by(User.segment)
    golden = select(User.email).where(User.is_gold, User.first_name == "Olha")
    kinds = "JOIN analytics.customer_kinds USING (customer_id)"
    questions = (("Users by country", by_country, "country", ""),
                 ("Users per segment", by_segment, "kind", kinds))  # fmt: skip
    with Session(engine) as session, statements(engine) as sent:
        for title, query, column, join in questions:
            found = session.execute(query).all()
            lesson.table(found, [column, "users", "points"], title)
            shop = f"SELECT {column}, count(*) FROM public.customers {join} GROUP BY 1"
            truth = dict(session.execute(sa.text(shop)).all())
            same = truth == {name: count for name, count, _ in found}
            lesson.check(f"{title}: as in the shop", same)
        session.execute(golden)
        print(sent[0], sent[-1], sep="\n")
        users = session.execute(select(User, User.is_gold, User.first_name)).all()
        same = all((user.is_gold, user.first_name) == tuple(rest) for user, *rest in users)
    lesson.check("Python and SQL agree on all 2,000 users", same)


def events(lesson: Lesson, engine: sa.Engine) -> None:
    """Events: act when something happens to an attribute, a session, an engine.

    `@validates` sees each email that is set, but no bulk UPDATE: that sets no attribute. A listener
    that counts queries hears the engine. And to tell others of a new user, wait for the session's
    commit: after a flush it may be taken back. (A crash after the commit tells nobody. The outbox
    in 04 mends that.)
    """
    with lesson.expected_error(ValueError):
        User(email="no address")
    flushed, committed = [], []
    with Session(engine) as session:
        event.listen(session, "after_flush", lambda *_: flushed.append("user.created"))
        event.listen(session, "after_commit", lambda *_: committed.append("user.created"))
        session.add(User(name="Olha", email="olha@x.eu", registered_on=TODAY, address_id=1))
        session.flush()
        session.rollback()
        lesson.check("after_flush told of a user who never came", flushed and not committed)
        session.execute(update(User).where(User.user_id == 1).values(email="LOUD@X.EU"))
        loud = session.scalar(select(User.email).where(User.user_id == 1))
    lesson.check("a bulk UPDATE goes past @validates", loud == "LOUD@X.EU", loud)


STEPS = (tables, crud, transactions, bulk_insert, n_plus_one, aggregation, events, locking,
         async_session, migrations, objects_or_rows)  # fmt: skip


def main(lesson: Lesson) -> None:
    """Every part as a step, in the lesson's own schema."""
    with own_schema(SCHEMA):
        engine = make_engine(connect.url("postgres"), SCHEMA)
        try:
            for step in STEPS:
                lesson.step(step, lesson, engine)
        finally:
            engine.dispose()


if __name__ == "__main__":
    run(main)
