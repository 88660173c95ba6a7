"""One failure must not lose the other answers.

Ten cities are asked for their weather together. When one of them fails, the answers of the nine
others are lost: `gather` raises the first error, and nothing is returned. Repair `weather_of`: it
returns two dictionaries, the temperatures by city, and the error's text by city.

    await weather_of(ask, ["Kyiv", "Lviv", "Atlantis"])
    ->  ({"Kyiv": 21.5, "Lviv": 19.0}, {"Atlantis": "no such city"})

They must still be asked together. Ctrl-C (asyncio.CancelledError) must still come out.
"""

import asyncio
from collections.abc import Awaitable, Callable

Ask = Callable[[str], Awaitable[float]]


async def weather_of(ask: Ask, cities: list[str]) -> tuple[dict[str, float], dict[str, str]]:
    """(temperature by city, error text by city)."""
    # TODO: one city that fails must not lose the others.
    answers = await asyncio.gather(*(ask(city) for city in cities))
    return dict(zip(cities, answers, strict=True)), {}
