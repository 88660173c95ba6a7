"""The same lines, and the statements are counted."""

from contextlib import contextmanager
from datetime import date

from shop_profile.database import make_engine
from shop_profile.models import Address, Base, City, Country, User
from sqlalchemy import event
from sqlalchemy.orm import Session

from course import connect
from course.exercises import expect, require
from course.workspace import own_schema

SCHEMA = "exercise_n_plus_one"


def user(number: int) -> User:
    """Somebody in a house, city and country of their own."""
    home = Address(street=f"Street {number}", postcode="1")
    home.city = City(name=f"City {number}", country=Country(name=f"Country {number}"))
    mail = f"{number}@example.com"
    return User(name=f"User {number}", email=mail, registered_on=date(2025, 1, 1), address=home)


@contextmanager
def shop(users: int):
    """(session, the statements it sends)."""
    with own_schema(SCHEMA):
        engine = make_engine(connect.url("postgres"), SCHEMA)
        try:
            Base.metadata.create_all(engine)
            with Session(engine) as session:
                session.add_all(user(number) for number in range(users))
                session.commit()
            sent: list[str] = []
            event.listen(engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
            with Session(engine) as session:
                yield session, sent
        finally:
            engine.dispose()


def check_lines(their):
    """The lines are the same"""
    with shop(2) as (session, _):
        lines = sorted(their.homes(session))
    expect(lines, [f"User {n}, Street {n}, City {n}, Country {n}" for n in (0, 1)])


def check_statements(their):
    """Thirty users, at most two statements"""
    with shop(30) as (session, sent):
        expect(len(their.homes(session)), 30)
    require(
        len(sent) <= 2,
        f"{len(sent)} statements were sent for 30 users",
        "user.address asks when it is used for the first time, unless the query brought it along.",
    )
