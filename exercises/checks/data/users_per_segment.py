"""Six people, one of them without a segment, one segment without people."""

from contextlib import contextmanager
from datetime import date

from shop_profile.database import make_engine
from shop_profile.models import Address, Base, City, Country, User
from sqlalchemy import event
from sqlalchemy.orm import Session

from course import connect
from course.exercises import expect, require
from course.workspace import own_schema

SCHEMA = "exercise_users_per_segment"
KINDS = ["active", "active", "active", "vip", "dormant", None]


@contextmanager
def shop(kinds):
    """(session, the statements it sends), with a user of each of `kinds`."""
    with own_schema(SCHEMA):
        engine = make_engine(connect.url("postgres"), SCHEMA)
        try:
            Base.metadata.create_all(engine)
            with Session(engine) as session:
                home = Address(street="1 High Street", postcode="1")
                home.city = City(name="Kyiv", country=Country(name="Ukraine"))
                home.users = [
                    User(
                        name=f"U {n}",
                        email=f"{n}@example.com",
                        registered_on=date(2025, 1, 1),
                        segment=kind,
                    )
                    for n, kind in enumerate(kinds)
                ]
                session.add(home)
                session.commit()
            sent: list[str] = []
            event.listen(engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
            with Session(engine) as session:
                yield session, sent
        finally:
            engine.dispose()


def check_answer(their):
    """All four segments, nobody without one"""
    with shop(KINDS) as (session, _):
        counts = their.users_per_segment(session)
    expect(
        dict(counts),
        {"dormant": 1, "active": 3, "vip": 1, "at risk": 0},
        "GROUP BY has no row for nobody, and one for None.",
    )


def check_empty(their):
    """An empty table: four times 0"""
    with shop([]) as (session, _):
        expect(their.users_per_segment(session), dict.fromkeys(their.SEGMENTS, 0))


def check_statement(their):
    """One statement, and the database counts"""
    with shop(KINDS) as (session, sent):
        their.users_per_segment(session)
    expect(len(sent), 1, "How many statements were sent.")
    require(
        "group by" in sent[0].lower(),
        "the statement doesn't group",
        "select(User.segment, func.count()).group_by(User.segment)",
    )
