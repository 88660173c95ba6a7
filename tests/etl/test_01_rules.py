"""The rules: a refusal names field, value and rule; the quick reader agrees with the careful."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from async_etl import KINDS, Rejected, Validator
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2025, 10, 26, 12, tzinfo=UTC)
validator, weather, quotes = Validator(), KINDS["weather"], KINDS["quotes"]
READING = {"city": "Kyiv", "observed_at": "2025-10-26T12:00:00Z", "temperature_c": 9.5,
           "humidity": 70, "wind_kmh": 20, "conditions": "rain"}  # fmt: skip
QUOTE = {"symbol": "AAPL", "observed_at": "2025-10-24T21:00:00Z", "open": 10.1, "high": 12,
         "low": 10, "price": 11.25, "volume": 1_000}  # fmt: skip
WRONG = [
    ("city", ""), ("city", "a" * 81), ("city", 7), ("city", "\x00"), ("city", "\ud800"),
    ("observed_at", "2025-10-26T12:00:00"), ("observed_at", "2025-10-26T12:00:01Z"),
    ("observed_at", 1761480000), ("observed_at", None), ("temperature_c", "9.5"),
    ("temperature_c", True), ("temperature_c", math.nan), ("temperature_c", math.inf),
    ("temperature_c", 10**400), ("humidity", 70.0), ("humidity", True), ("humidity", -1),
    ("humidity", 10**30), ("wind_kmh", 451), ("conditions", "hail"), ("conditions", ["rain"]),
]  # fmt: skip
WRONG_QUOTE = [("price", 12.01), ("open", 9.99), ("low", 0), ("high", 1e400), ("volume", -1),
               ("volume", 1.5), ("price", "11"), ("low", 12.5)]  # fmt: skip
texts = st.text(max_size=12) | st.sampled_from(
    ["Kyiv", "2025-10-26T11:00:00Z", "2025-10-26T11:00:00+02:00", "2025-10-26", "9.5", "-91", "nan",
     "1e3", "70", "100", "101", " 5", "rain", "hail", "2025-10-26T12:00:00Z"]
)  # fmt: skip


def refusal(kind: Any, raw: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        validator.from_json(kind, raw, NOW)
    return caught.value


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda one: ascii(one)[:20])
def test_a_wrong_reading_is_refused_by_name(field: str, value: object) -> None:
    error = refusal(weather, {**READING, field: value})
    assert error.field == field
    assert f"{field} = {ascii(value)[:60]}" in str(error)
    assert error.rule and error.rule in str(error) and len(str(error)) < 300
    missing = {name: one for name, one in READING.items() if name != field}
    assert refusal(weather, missing).field == field


@pytest.mark.parametrize(("field", "value"), WRONG_QUOTE)
def test_a_wrong_quote_is_refused_by_name(field: str, value: object) -> None:
    error = refusal(quotes, {**QUOTE, field: value})
    assert error.field == field or (field, error.field) == ("low", "open")


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_json_is_a_record_or_a_refusal(raw: Any) -> None:
    assert refusal(weather, raw).field
    for name in READING:
        try:
            validator.from_json(weather, {**READING, name: raw}, NOW)
        except Rejected as error:
            assert error.field == name


@given(st.lists(texts, min_size=5, max_size=8))
def test_the_quick_reader_agrees_with_the_careful_one_on_anything(raw: list[str]) -> None:
    results = []
    for read in (validator.weather_from_text, lambda row: validator.from_text(weather, row)):
        try:
            results.append(read(raw))
        except Rejected as error:
            results.append(str(error))
    assert results[0] == results[1]


@given(
    st.sampled_from(["Kyiv", "Łódź", ""]),
    st.integers(-200, 200),
    st.floats(-100, 70),
    st.integers(-2, 103),
    st.integers(-2, 460),
    st.sampled_from(["rain", "hail"]),
)
def test_and_on_what_is_almost_right(
    city: str, hours: int, degrees: float, humidity: int, wind: int, conditions: str
) -> None:
    moment = (NOW + timedelta(hours=hours)).isoformat()
    raw = [city, moment, str(degrees), str(humidity), str(wind), conditions, NOW.isoformat()]
    test_the_quick_reader_agrees_with_the_careful_one_on_anything.hypothesis.inner_test(raw)
