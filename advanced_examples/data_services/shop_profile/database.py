"""Engines whose tables lie in a schema of their own, the shop's people in them, and the profile."""

import random
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, Select, create_engine, func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session, joinedload, raiseload

from shop_profile.models import Address, Base, City, Country, User

CUSTOMERS = text("""
    SELECT customer_id, name, email, city, country, customers.registration_date, kind,
           floor(monetary / 10)::int AS points
    FROM public.customers
    JOIN analytics.customer_kinds USING (customer_id)
    ORDER BY customer_id
""")
STREETS = (
    "Garden Street", "Mill Lane", "Station Road", "Church Street", "Park Avenue", "River Walk",
    "Market Square", "Lime Tree Alley", "School Road", "Harbour Street",
)  # fmt: skip
SEED = 8

Rows = list[dict[str, Any]]


def make_engine(url: str, schema: str, **options: Any) -> Engine:
    """An engine (psycopg2) for a plain postgresql:// URL, whose tables lie in `schema`.

    Only in `schema`: with public on the path, somebody's own public.users would pass for ours.
    `options` go to `create_engine`. ValueError when `schema` is no plain name.
    """
    address = make_url(url).set(drivername="postgresql+psycopg2")
    given = address.query.get("options", "")
    settings = f"{given} -c search_path={_plain(schema)}".strip()
    return create_engine(address, connect_args={"options": settings}, **options)


def make_async_engine(url: str, schema: str, **options: Any) -> AsyncEngine:
    """The same for asyncio, through asyncpg, which reads `sslmode` and the like from the URL."""
    address = make_url(url).set(drivername="postgresql+asyncpg", query={})
    arguments = {"dsn": url, "server_settings": {"search_path": _plain(schema)}}
    return create_async_engine(address, connect_args=arguments, **options)


def _plain(schema: str) -> str:
    if not (schema.isidentifier() and schema.isascii() and schema.islower()):
        raise ValueError(f"a schema's name is lower-case letters, digits and _: {schema!r}")
    return schema


def shop_rows(connection: Connection) -> Iterator[tuple[type[Base], Rows]]:
    """(model, its rows) in the order of their foreign keys, from the shop's customers.

    Streets and postcodes are invented, the same in every run. Each user has an address of its own,
    and address_id = user_id = customer_id.
    """
    customers = connection.execute(CUSTOMERS).all()
    countries = _numbered({customer.country for customer in customers})
    cities = _numbered({(customer.country, customer.city) for customer in customers})
    yield Country, [{"country_id": key, "name": name} for name, key in countries.items()]
    yield City, [
        {"city_id": key, "name": city, "country_id": countries[country]}
        for (country, city), key in cities.items()
    ]  # fmt: skip
    chance = random.Random(SEED)
    yield Address, [
        {"address_id": customer.customer_id, **_house(chance),
         "city_id": cities[customer.country, customer.city]}
        for customer in customers
    ]  # fmt: skip
    yield User, [
        {"user_id": customer.customer_id, "name": customer.name, "email": customer.email,
         "registered_on": customer.registration_date, "segment": customer.kind,
         "points": customer.points, "address_id": customer.customer_id}
        for customer in customers
    ]  # fmt: skip


def _numbered(names: set[Any]) -> dict[Any, int]:
    return {name: key for key, name in enumerate(sorted(names), 1)}


def _house(chance: random.Random) -> dict[str, str]:
    street = STREETS[int(chance.random() * len(STREETS))]
    number, postcode = 1 + int(chance.random() * 120), 10_000 + int(chance.random() * 90_000)
    return {"street": f"{street} {number}", "postcode": str(postcode)}


def fill(target: Session | Connection) -> None:
    """Load countries, cities, addresses and users of the shop into empty tables.

    The caller commits. Filled tables are an IntegrityError. With asyncio:
    `await session.run_sync(fill)`.
    """
    connection = target.connection() if isinstance(target, Session) else target
    for model, rows in shop_rows(connection):
        table = model.__table__
        connection.execute(insert(table), rows)
        (key,) = table.primary_key
        # Keys that we chose don't move the counter: without this, the next new row collides.
        counter = func.pg_get_serial_sequence(table.name, key.name)
        connection.execute(select(func.setval(counter, func.max(key))))


def profile_query(user_id: int) -> Select[User]:
    """The user with address, city and country in one query; whatever else is asked for raises."""
    whole = joinedload(User.address, innerjoin=True).joinedload(Address.city, innerjoin=True)
    country = whole.joinedload(City.country, innerjoin=True)
    return select(User).where(User.user_id == user_id).options(country, raiseload("*"))


def user_profile(session: Session, user_id: int) -> User | None:
    """The user with address, city and country loaded, None if there is no such user."""
    return session.scalar(profile_query(user_id))


async def user_profile_async(session: AsyncSession, user_id: int) -> User | None:
    """`user_profile` for an AsyncSession."""
    return await session.scalar(profile_query(user_id))
