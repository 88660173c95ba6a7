"""Four countries, one of them empty, and the statements are counted."""

from contextlib import contextmanager
from datetime import date

from shop_profile.database import make_engine
from shop_profile.models import Address, Base, City, Country, User
from sqlalchemy import event
from sqlalchemy.orm import Session

from course import connect
from course.exercises import expect, require
from course.workspace import own_schema

SCHEMA = "exercise_users_by_country"
HOMES = [("Ukraine", "Kyiv", 2), ("Ukraine", "Lviv", 1), ("Poland", "Gdansk", 2),
         ("Austria", "Graz", 2), ("Malta", "Valletta", 0)]  # fmt: skip


def people(engine) -> None:
    """Seven people in four cities."""
    with Session(engine) as session:
        countries = {name: Country(name=name) for name, _, _ in HOMES}
        for country, city, users in HOMES:
            home = Address(street="1 High Street", postcode="1")
            home.city = City(name=city, country=countries[country])
            session.add(home)
            home.users = [
                User(
                    name=f"{city} {n}",
                    email=f"{city}{n}@example.com",
                    registered_on=date(2025, 1, 1),
                )
                for n in range(users)
            ]
        session.commit()


@contextmanager
def shop():
    """(session, the statements it sends)."""
    with own_schema(SCHEMA):
        engine = make_engine(connect.url("postgres"), SCHEMA)
        try:
            Base.metadata.create_all(engine)
            people(engine)
            sent: list[str] = []
            event.listen(engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
            with Session(engine) as session:
                yield session, sent
        finally:
            engine.dispose()


def check_answer(their):
    """Largest first, then by name, and the empty one with 0"""
    with shop() as (session, _):
        rows = [tuple(row) for row in their.users_by_country(session)]
    expect(
        rows,
        [("Ukraine", 3), ("Austria", 2), ("Poland", 2), ("Malta", 0)],
        "Malta has a city and an address, and nobody lives there: an inner join loses it.",
    )


def check_statements(their):
    """The database counts: one statement, no loop"""
    with shop() as (session, sent):
        their.users_by_country(session)
    require(
        len(sent) == 1,
        f"{len(sent)} statements were sent",
        "Walking over country.cities asks again for each country.",
    )
    require("count" in sent[0].lower(), "the statement counts nothing", "func.count(User.user_id)")
