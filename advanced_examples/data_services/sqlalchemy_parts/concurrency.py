"""The part on asyncio."""

import asyncio

from shop_profile.database import make_async_engine
from shop_profile.models import Address, User
from sqlalchemy import Engine, event
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import joinedload

from course import connect
from course.lesson import Lesson

PROFILES = 20


async def city_of(engine: AsyncEngine, user_id: int) -> str:
    """The city of a user, in a session of its own; LookupError if there is no such user."""
    async with AsyncSession(engine, expire_on_commit=False) as session:
        whole = joinedload(User.address).joinedload(Address.city)
        user = await session.get(User, user_id, options=[whole])
        await session.commit()
    if user is None:
        raise LookupError(f"no user {user_id}")
    return user.address.city.name


async def async_session(lesson: Lesson, engine: Engine) -> None:
    """AsyncSession: the same models, with await.

    A lazy load would wait inside of an attribute, where no await can stand: it raises. So say
    beforehand what you need, as `joinedload` does, or ask for it with `session.refresh`. Each task
    takes a session of its own, for a session is one conversation with the database. Objects expire
    at a commit, and reading them would load again: `expire_on_commit=False` keeps them readable.
    """
    with engine.connect() as connection:
        schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    live = make_async_engine(connect.url("postgres"), schema)
    queries: list[str] = []
    event.listen(live.sync_engine, "before_cursor_execute", lambda *call: queries.append(call[2]))
    try:
        async with AsyncSession(live) as session:
            user = await session.get_one(User, 1)
            with lesson.expected_error(MissingGreenlet):
                _ = user.address
            await session.refresh(user, ["address"])
            lesson.check("refresh loads what was named", user.address.street)
        queries.clear()
        cities = await asyncio.gather(*(city_of(live, key + 1) for key in range(PROFILES)))
    finally:
        await live.dispose()
    claim = f"{PROFILES} profiles with address and city, {PROFILES} queries"
    lesson.check(claim, len(queries) == PROFILES, f"user 1 lives in {cities[0]}")
