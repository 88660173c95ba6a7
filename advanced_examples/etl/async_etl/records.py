"""The records: what a source says, typed, and where each kind is kept."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

# Not frozen: making a frozen instance takes three times as long, and a million are made.


@dataclass(slots=True)
class WeatherReading:
    """What was measured in a city at a full hour: °C, % and km/h.

    `as_of` is the source's clock when it said so: of two readings for one hour the later counts.
    """

    city: str
    observed_at: datetime
    temperature_c: float
    humidity: int
    wind_kmh: int
    conditions: str
    as_of: datetime


@dataclass(slots=True)
class StockQuote:
    """A trading day of a company, in dollars; `price` is the close."""

    symbol: str
    observed_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    price: Decimal
    volume: int
    as_of: datetime


@dataclass(slots=True)
class SourceClock:
    """The time that a source says it is."""

    source: str
    as_of: datetime


Record = WeatherReading | StockQuote | SourceClock


@dataclass(frozen=True)
class Kind:
    """A kind of record: its class, its table, and the columns that tell two records apart."""

    name: str
    record: type
    table: str
    key_columns: tuple[str, ...]
    columns: tuple[str, ...] = field(init=False)
    row: Callable[[Any], tuple] = field(init=False)
    key: Callable[[Any], Any] = field(init=False)

    def __post_init__(self) -> None:
        columns = tuple(one.name for one in fields(self.record))
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "row", attrgetter(*columns))
        object.__setattr__(self, "key", attrgetter(*self.key_columns))

    @property
    def given(self) -> tuple[str, ...]:
        """The columns that the source gives; `as_of` is added to them."""
        return self.columns[:-1]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("clock", SourceClock, "source_clocks", ("source",)),
        Kind("weather", WeatherReading, "weather_readings", ("city", "observed_at")),
        Kind("quotes", StockQuote, "stock_quotes", ("symbol", "observed_at")),
    )
}
