"""The parts of lesson data/01, its models beside those of the package, and no lost update."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from shop_profile import database, models
from sqlalchemy import Engine, MetaData, func, literal, select, text, update
from sqlalchemy.inspection import inspect
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy_parts import locking

from course.console import Console
from course.lesson import Lesson
from course.settings import ROOT
from course.workspace import own_schema
from tests.support import load_lesson, told_without_a_service

PATH = "advanced_examples/data_services/01_sqlalchemy_advanced.py"
CLASSES = ("Country", "City", "Address", "User")
lesson = load_lesson(PATH)


@pytest.fixture
def engine(service: Callable[[str], str]) -> Iterator[Engine]:
    """The lesson's schema with the shop's 2,000 users."""
    engine = database.make_engine(service("postgres"), lesson.SCHEMA)
    with own_schema(lesson.SCHEMA):
        models.Base.metadata.create_all(engine)
        with Session(engine) as session, session.begin():
            database.fill(session)
        yield engine
        engine.dispose()


def described(metadata: MetaData) -> dict[str, Any]:
    """Tables with columns, types, defaults, constraints and indexes."""
    return {
        name: {
            "columns": [
                (c.name, str(c.type), c.nullable, c.primary_key, c.identity is not None,
                 getattr(c.server_default, "arg", None) if c.identity is None else "identity",
                 getattr(c.default, "arg", None))
                for c in table.columns
            ],
            "constraints": sorted(
                (type(c).__name__, str(c.name), [column.name for column in c.columns],
                 str(getattr(c, "sqltext", "")),
                 [key.target_fullname for key in getattr(c, "elements", ())])
                for c in table.constraints
            ),
            "indexes": sorted((i.name, i.unique, [*i.columns.keys()]) for i in table.indexes),
        }
        for name, table in metadata.tables.items()
    }  # fmt: skip


def relationships(module: Any) -> dict[str, Any]:
    """For each class its relationships: target, direction, other end, what a delete does."""
    return {
        name: {
            r.key: (r.mapper.class_.__name__, r.direction.name, r.back_populates, r.passive_deletes,
                    str(r.cascade), r.lazy)
            for r in inspect(getattr(module, name)).relationships
        }
        for name in CLASSES
    }  # fmt: skip


def behaviour(module: Any) -> dict[str, Any]:
    """Hybrids, validators and the version column."""
    mapper = inspect(module.User)
    hybrids = {key: str(getattr(module.User, key)) for key in ("is_gold", "first_name")}
    return {
        "descriptors": sorted(mapper.all_orm_descriptors.keys()),
        "hybrids in SQL": hybrids,
        "validators": sorted(mapper.validators),
        "version": mapper.version_id_col.name,
    }


def test_the_package_holds_what_the_lesson_builds() -> None:
    assert described(lesson.Base.metadata) == described(models.Base.metadata)
    assert relationships(lesson) == relationships(models)
    assert behaviour(lesson) == behaviour(models)
    assert lesson.GOLD == models.GOLD


@settings(max_examples=50, deadline=None)
@given(points=st.integers(0, 400), name=st.text(min_size=1), email=st.text())
def test_both_models_answer_alike(points: int, name: str, email: str) -> None:
    answers = []
    for module in (lesson, models):
        user = module.User(points=points, name=name)
        try:
            user.email = email
        except ValueError as error:
            assert "@" not in email
            assert repr(email) in str(error)
        answers.append((user.is_gold, user.first_name, user.email))
    assert answers[0] == answers[1]
    if "@" in email:
        again = models.User(email=answers[0][2]).email
        assert again == answers[0][2]


def test_hybrids_agree_with_sql_on_any_name(engine: Engine) -> None:
    with engine.connect() as connection:

        @settings(max_examples=60, deadline=None)
        @given(name=st.text(st.characters(exclude_characters="\0", codec="utf-8")))
        def agree(name: str) -> None:
            found = connection.scalar(select(func.split_part(literal(name), " ", 1)))
            assert found == models.User(name=name).first_name

        agree()


@pytest.mark.parametrize("part", lesson.STEPS, ids=lambda part: part.__name__)
def test_every_part_stands_alone(engine: Engine, part: Callable) -> None:
    options = argparse.Namespace(fast=True, step=False, from_step=1)
    teller = Lesson(Console(), options)
    try:
        teller.step(part, teller, engine)
    finally:
        teller.close()
    assert teller.claims
    assert [claim for claim, holds in teller.claims if not holds] == []


class TwoEditors(RuleBasedStateMachine):
    """Two sessions look, add and commit in any order; what was committed must all be there."""

    engine: Engine
    model: Any = models.User

    def __init__(self) -> None:
        super().__init__()
        with Session(self.engine) as session, session.begin():
            session.execute(
                update(models.User).where(models.User.user_id == 1).values(points=0, version=1)
            )
        # No flush before the commit: in one thread, a session that waits for the other's lock
        # would wait for ever.
        self.sessions = [Session(self.engine, autoflush=False) for _ in range(2)]
        self.pending = [0, 0]
        self.committed = 0

    @rule(who=st.integers(0, 1), points=st.integers(1, 9))
    def add(self, who: int, points: int) -> None:
        self.sessions[who].get_one(self.model, 1).points += points
        self.pending[who] += points

    @rule(who=st.integers(0, 1))
    def look_again(self, who: int) -> None:
        self.sessions[who].rollback()
        self.pending[who] = 0

    @precondition(lambda self: any(self.pending))
    @rule(who=st.integers(0, 1))
    def commit(self, who: int) -> None:
        try:
            self.sessions[who].commit()
            self.committed += self.pending[who]
        except StaleDataError:
            self.sessions[who].rollback()
        self.pending[who] = 0

    @invariant()
    def nothing_is_lost(self) -> None:
        assert locking.points_of(self.engine) == self.committed

    def teardown(self) -> None:
        for session in self.sessions:
            session.close()


def check_edits(engine: Engine, model: type, examples: int) -> None:
    """Run the machine on `engine` with `model`; no shrinking, so that a failure comes soon."""
    machine = type("Machine", (TwoEditors,), {"engine": engine, "model": model})
    phases = [Phase.generate]
    chosen = settings(
        max_examples=examples, stateful_step_count=20, deadline=None, phases=phases, database=None
    )
    run_state_machine_as_test(machine, settings=chosen)


def test_with_a_version_no_order_of_edits_loses_one(engine: Engine) -> None:
    check_edits(engine, models.User, examples=40)


def test_without_a_version_such_an_order_is_found(engine: Engine) -> None:
    with pytest.raises(AssertionError):
        check_edits(engine, locking.CarelessUser, examples=40)


def test_a_bulk_update_must_count_the_version_itself(engine: Engine) -> None:
    before = locking.points_of(engine)
    with Session(engine) as reader, Session(engine) as writer:
        seen = reader.get_one(models.User, 1)
        uncounted = update(models.User).where(models.User.user_id == 1)
        writer.execute(uncounted.values(points=models.User.points + 5))
        writer.commit()
        seen.points += 1
        reader.commit()
    assert locking.points_of(engine) == before + 1


def schema_exists(engine: Engine) -> bool:
    """Whether the lesson's schema is still there."""
    with engine.connect() as connection:
        query = text("SELECT count(*) FROM pg_namespace WHERE nspname LIKE :name")
        found = connection.scalar(query, {"name": f"{lesson.SCHEMA}%"})
    engine.dispose()
    return bool(found)


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_in_the_migration_ends_it_cleanly(service: Callable[[str], str]) -> None:
    engine = database.make_engine(service("postgres"), lesson.SCHEMA)
    command = [sys.executable, str(ROOT / PATH), "--fast"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        while not process.stdout.readline().startswith("10  "):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Stopped by Ctrl-C.\n"
    assert not schema_exists(engine)


def test_without_postgres_it_says_so_and_ends_with_69() -> None:
    assert "PostgreSQL" in told_without_a_service(
        lesson, DATABASE_URL="postgresql://a:b@127.0.0.1:9/nowhere"
    )
