"""Answers and errors, each in its place."""

import asyncio

from course.exercises import expect, expect_error, require

TEMPERATURES = {"Kyiv": 21.5, "Lviv": 19.0, "Odesa": 24.0}


class Weather:
    """Knows three cities; remembers how many questions were under way at once."""

    def __init__(self) -> None:
        self.under_way = self.peak = 0

    async def ask(self, city: str) -> float:
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        await asyncio.sleep(0.005)
        self.under_way -= 1
        if city not in TEMPERATURES:
            raise LookupError(f"no city called {city}")
        return TEMPERATURES[city]


async def check_all_well(their):
    """Without a failure nothing changes."""
    expect(await their.weather_of(Weather().ask, list(TEMPERATURES)), (TEMPERATURES, {}))


async def check_one_failure(their):
    """One city fails, the others are kept."""
    try:
        found = await their.weather_of(Weather().ask, ["Kyiv", "Atlantis", "Odesa"])
    except LookupError:
        require(
            False,
            "the error of one city came out, and the others' answers are lost",
            "gather has an option that returns errors like answers.",
        )
    expect(
        found,
        ({"Kyiv": 21.5, "Odesa": 24.0}, {"Atlantis": "no city called Atlantis"}),
        "Two dictionaries: what was answered, and str(error) for what failed.",
    )


async def check_together(their):
    """They are still asked together."""
    weather = Weather()
    await their.weather_of(weather.ask, ["Kyiv", "Lviv", "Atlantis", "Odesa"])
    require(
        weather.peak == 4,
        f"only {weather.peak} of 4 cities were asked at the same time",
        "A try around an await in a loop asks one after another.",
    )


async def check_cancelled(their):
    """Ctrl-C is no error of a city."""

    async def for_ever(city: str) -> float:
        await asyncio.sleep(3600)
        return 0.0

    task = asyncio.create_task(their.weather_of(for_ever, ["Kyiv"]))
    await asyncio.sleep(0.01)
    task.cancel()
    with expect_error(asyncio.CancelledError, "Catch Exception, not BaseException."):
        await task
