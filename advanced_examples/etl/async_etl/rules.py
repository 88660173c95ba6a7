"""Validation: raw values become a typed record, or a refusal that names field, value and rule."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from async_etl.records import KINDS, Kind, Record, WeatherReading

CONDITIONS = frozenset({"clear", "rain", "snow", "fog"})
FIRST_TIME = datetime(1900, 1, 1, tzinfo=UTC)
LONGEST = 80  # characters of a value in a message


class Rejected(ValueError):  # noqa: N818
    """A raw record that breaks a rule; says which field, the value and the rule."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        shown = ascii(value)
        self.field, self.rule = field, rule
        self.value = shown if len(shown) <= LONGEST else shown[:LONGEST] + "…"
        super().__init__(f"{field} = {self.value}: must be {rule}")


@dataclass(frozen=True)
class Rule:
    """How a field is read, from text (CSV) or from a JSON value, and what must hold for it.

    The readers raise ValueError; `holds` gets the value and the record's as_of.
    """

    words: str
    from_text: Callable[[str], Any]
    from_json: Callable[[Any], Any]
    holds: Callable[[Any, datetime], bool]


def a_text(value: Any) -> str:
    """A text; a JSON number is none."""
    if type(value) is not str:
        raise ValueError
    return value


def a_whole_number(value: Any) -> int:
    """A JSON integer; true is none, though Python says so."""
    if type(value) is not int:
        raise ValueError
    return value


def a_number(value: Any) -> float:
    """A JSON number."""
    if type(value) not in (int, float):
        raise ValueError
    return float(value)


def money(value: Any) -> Decimal:
    """Dollars and cents, exactly; a JSON number is read as it is written."""
    if type(value) not in (int, float, str):
        raise ValueError
    try:
        amount = Decimal(str(value))
        return amount if not amount.is_finite() else amount.quantize(Decimal("0.01"))
    except InvalidOperation:
        raise ValueError from None


def json_money(value: Any) -> Decimal:
    """As `money`, but text is none."""
    return money(a_number(value) if type(value) is not int else value)


def a_time(value: Any) -> datetime:
    """An ISO 8601 time with its zone, in UTC."""
    moment = datetime.fromisoformat(a_text(value))
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


def _between(low: float, high: float) -> Callable[[Any, datetime], bool]:
    return lambda value, _: math.isfinite(value) and low <= value <= high


def _name(value: str, _: datetime) -> bool:
    return 0 < len(value) <= 80 and value.isprintable()


def _past(value: datetime, as_of: datetime) -> bool:
    return FIRST_TIME <= value <= as_of


NAME = Rule("a name of 1 to 80 printable characters", a_text, a_text, _name)
TIME = Rule("a time with a zone, from 1900 to the source's own now", a_time, a_time, _past)
PRICE = Rule("an amount from 0.01 to 10,000,000 dollars", money, json_money, _between(0.01, 1e7))
VOLUME = Rule("a whole number from 0 to 10^15", int, a_whole_number, _between(0, 1e15))


def rules_of(conditions: frozenset[str] = CONDITIONS) -> dict[str, dict[str, Rule]]:
    """The rules of every kind, field by field, where `conditions` are the words that we know."""
    known = f"one of {', '.join(sorted(conditions))}"
    return {
        "clock": {"source": NAME},
        "weather": {
            "city": NAME,
            "observed_at": TIME,
            "temperature_c": Rule("from -90 to 60 °C", float, a_number, _between(-90, 60)),
            "humidity": Rule("a whole number from 0 to 100 %", int, a_whole_number,
                             _between(0, 100)),
            "wind_kmh": Rule("a whole number from 0 to 450 km/h", int, a_whole_number,
                             _between(0, 450)),
            "conditions": Rule(known, a_text, a_text, lambda value, _: value in conditions),
        },
        "quotes": {"symbol": NAME, "observed_at": TIME, "open": PRICE, "high": PRICE,
                   "low": PRICE, "price": PRICE, "volume": VOLUME},
    }  # fmt: skip


class Validator:
    """Turns raw values into records, one kind or another."""

    def __init__(self, conditions: frozenset[str] = CONDITIONS) -> None:
        self.conditions = conditions
        self.rules = rules_of(conditions)

    def from_json(self, kind: Kind, raw: Any, as_of: datetime) -> Record:
        """The record in a JSON object; Rejected."""
        if not isinstance(raw, Mapping):
            raise Rejected("row", raw, f"an object with {', '.join(kind.given)}")
        values = {}
        for name, rule in self.rules[kind.name].items():
            if name not in raw:
                raise Rejected(name, None, f"there, and {rule.words}")
            values[name] = _read(name, raw[name], rule, rule.from_json, as_of)
        _check_together(kind, values)
        return kind.record(**values, as_of=as_of)

    def from_text(self, kind: Kind, raw: Sequence[str]) -> Record:
        """The record in a line of CSV, whose columns are the kind's, as_of last; Rejected."""
        if len(raw) != len(kind.columns):
            raise Rejected("row", ",".join(raw), f"{len(kind.columns)} columns")
        try:
            as_of = a_time(raw[-1])
        except ValueError:
            raise Rejected("as_of", raw[-1], "a time with a zone") from None
        values = {}
        for text, (name, rule) in zip(raw, self.rules[kind.name].items(), strict=False):
            values[name] = _read(name, text, rule, rule.from_text, as_of)
        _check_together(kind, values)
        return kind.record(**values, as_of=as_of)

    def weather_from_text(self, raw: Sequence[str], iso=datetime.fromisoformat) -> WeatherReading:
        """The same for weather, in a third of the time: all rules at once while all is well.

        Whatever is unusual goes to `from_text`, which names the rule. A test holds both together.
        """
        try:
            city, observed, temperature, humidity, wind, conditions, said = raw
            observed_at, as_of = iso(observed), iso(said)
            degrees, percent, speed = float(temperature), int(humidity), int(wind)
            if (
                FIRST_TIME <= observed_at <= as_of
                and -90 <= degrees <= 60
                and 0 <= percent <= 100
                and 0 <= speed <= 450
                and conditions in self.conditions
                and 0 < len(city) <= 80
                and city.isprintable()
            ):
                return WeatherReading(city, observed_at, degrees, percent, speed, conditions, as_of)
        except (ValueError, TypeError, OverflowError):
            pass
        return self.from_text(KINDS["weather"], raw)


def _read(name: str, raw: Any, rule: Rule, read: Callable, as_of: datetime) -> Any:
    try:
        value = read(raw)
        if rule.holds(value, as_of):
            return value
    except (ValueError, OverflowError):
        pass
    raise Rejected(name, raw, rule.words)


def _check_together(kind: Kind, values: Mapping[str, Any]) -> None:
    """The rule that needs several fields: a day's prices lie between its lowest and its highest."""
    if kind.name == "quotes":
        for name in ("open", "price", "low"):
            if not values["low"] <= values[name] <= values["high"]:
                rule = f"between low {values['low']} and high {values['high']}"
                raise Rejected(name, str(values[name]), rule)
