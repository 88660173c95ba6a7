"""One failure loses nothing: errors are returned like answers, and sorted out afterwards."""

import asyncio
from collections.abc import Awaitable, Callable

Ask = Callable[[str], Awaitable[float]]


async def weather_of(ask: Ask, cities: list[str]) -> tuple[dict[str, float], dict[str, str]]:
    """(temperature by city, error text by city)."""
    answers = await asyncio.gather(*(ask(city) for city in cities), return_exceptions=True)
    found: dict[str, float] = {}
    failed: dict[str, str] = {}
    for city, answer in zip(cities, answers, strict=True):
        if isinstance(answer, BaseException):
            failed[city] = str(answer)
        else:
            found[city] = answer
    return found, failed
