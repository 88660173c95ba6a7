"""What the demo API knows: weather, quotes and bytes, made from a seed and the fixed today.

Only integers and hashes are used, so the values are the same on every machine.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from course.settings import TODAY

NOW = datetime.combine(TODAY, time(12), tzinfo=UTC)
BEGIN = NOW - timedelta(days=3 * 365 + 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class City:
    """A place; `warmth` is how far its yearly mean lies from 10 °C, in tenths of a degree."""

    name: str
    country: str
    latitude: float
    longitude: float
    warmth: int


@dataclass(frozen=True)
class Company:
    """A listed company; `cents` is the price at which its history begins."""

    symbol: str
    name: str
    cents: int


CITIES = {
    city.name.lower(): city
    for city in (
        City("Kyiv", "Ukraine", 50.45, 30.52, -10),
        City("Lviv", "Ukraine", 49.84, 24.03, -15),
        City("Odesa", "Ukraine", 46.48, 30.73, 14),
        City("Kharkiv", "Ukraine", 49.99, 36.23, -15),
        City("Dnipro", "Ukraine", 48.46, 35.05, 0),
        City("Warsaw", "Poland", 52.23, 21.01, -5),
        City("Krakow", "Poland", 50.06, 19.94, -5),
        City("Prague", "Czechia", 50.08, 14.44, 0),
        City("Berlin", "Germany", 52.52, 13.41, 5),
        City("Vienna", "Austria", 48.21, 16.37, 15),
        City("Paris", "France", 48.85, 2.35, 25),
        City("Madrid", "Spain", 40.42, -3.70, 50),
    )
}
COMPANIES = {
    company.symbol: company
    for company in (
        Company("AAPL", "Apple", 15_575),
        Company("AMZN", "Amazon", 11_566),
        Company("GOOGL", "Alphabet", 9_493),
        Company("META", "Meta Platforms", 12_982),
        Company("MSFT", "Microsoft", 23_132),
        Company("NFLX", "Netflix", 29_860),
        Company("NVDA", "NVIDIA", 12_896),
        Company("TSLA", "Tesla", 22_464),
    )
}
MONTHLY_TENTHS = (-30, -20, 30, 100, 160, 195, 215, 210, 155, 95, 35, -15)
CONDITIONS = ("clear", "clear", "clear", "rain", "rain", "fog")
CHUNK = 65_536
BLOCK = 1_000_000


def noise(*key: object, spread: int) -> int:
    """A whole number from -spread to +spread that depends on `key` alone."""
    digest = hashlib.blake2b("|".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (2 * spread + 1) - spread


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC: '2025-10-26T12:00:00Z'."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def weather_at(city: City, hour: datetime, seed: int) -> dict[str, object]:
    """The observation at a full hour: °C, % humidity, km/h wind and conditions."""
    day, at = hour.date(), stamp(hour)
    daily_swing = 40 - 8 * abs(hour.hour - 14) if hour.hour >= 4 else -40
    tenths = MONTHLY_TENTHS[hour.month - 1] + city.warmth + daily_swing
    tenths += noise(seed, "day", city.name, day, spread=40)
    tenths += noise(seed, "hour", city.name, at, spread=10)
    sky = CONDITIONS[noise(seed, "sky", city.name, day, hour.hour // 6, spread=500) % 6]
    return {
        "observed_at": at,
        "temperature_c": tenths / 10,
        "humidity": 70 + noise(seed, "humidity", city.name, at, spread=25),
        "wind_kmh": 20 + noise(seed, "wind", city.name, at, spread=18),
        "conditions": "snow" if sky == "rain" and tenths < 0 else sky,
    }


def weather_since(city: City, since: datetime, limit: int, seed: int) -> list[dict[str, object]]:
    """Up to `limit` hourly observations later than `since`, oldest first, ending at NOW."""
    hour = since.replace(minute=0, second=0, microsecond=0) + HOUR
    count = min(limit, max(0, (NOW - hour) // HOUR + 1))
    return [weather_at(city, hour + step * HOUR, seed) for step in range(count)]


@lru_cache(maxsize=64)
def daily_quotes(company: Company, seed: int) -> tuple[dict[str, object], ...]:
    """One quote a weekday for three years, oldest first; prices in dollars, as of 21:00 UTC."""
    quotes = []
    opening = company.cents
    for number in range((TODAY - BEGIN.date()).days):
        day = BEGIN.date() + number * DAY
        if day.weekday() < 5:
            close = opening + opening * (8 + _points(company, "close", day, 200, seed)) // 10_000
            quotes.append(_quote(company, day, opening, close, seed))
            opening = close
    return tuple(quotes)


def _points(company: Company, what: str, day: date, spread: int, seed: int) -> int:
    return noise(seed, what, company.symbol, day, spread=spread)


def _quote(company: Company, day: date, opening: int, close: int, seed: int) -> dict[str, object]:
    above = opening * abs(_points(company, "high", day, 80, seed)) // 10_000
    below = opening * abs(_points(company, "low", day, 80, seed)) // 10_000
    return {
        "observed_at": stamp(datetime.combine(day, time(21), tzinfo=UTC)),
        "open": opening / 100,
        "high": (max(opening, close) + above) / 100,
        "low": (min(opening, close) - below) / 100,
        "price": close / 100,
        "volume": 1_000_000 + _points(company, "volume", day, 600_000, seed),
    }


def quotes_since(
    company: Company, since: datetime, limit: int, seed: int
) -> list[dict[str, object]]:
    """Up to `limit` daily quotes later than `since`, oldest first."""
    after = stamp(since)
    newer = (quote for quote in daily_quotes(company, seed) if str(quote["observed_at"]) > after)
    return [quote for quote, _ in zip(newer, range(limit), strict=False)]


@lru_cache(maxsize=4)
def _block(seed: int) -> bytes:
    return hashlib.shake_256(f"download|{seed}".encode()).digest(BLOCK)


def download_chunks(wanted: range, seed: int) -> Iterator[bytes]:
    """The bytes at the positions in `wanted`, in at least two pieces of at most 64 KiB."""
    block = _block(seed)
    largest = min(CHUNK, max(1, len(wanted) // 2))
    position = wanted.start
    while position < wanted.stop:
        offset = position % BLOCK
        piece = block[offset : offset + min(largest, wanted.stop - position)]
        yield piece
        position += len(piece)


@lru_cache(maxsize=64)
def download_checksum(size: int, seed: int) -> str:
    """The SHA-256 (hexadecimal) of a download of `size` bytes."""
    total = hashlib.sha256()
    for piece in download_chunks(range(size), seed):
        total.update(piece)
    return total.hexdigest()
