"""The simulator: reproducible, possible, and with a best prediction that is known exactly."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.airports import AIRPORTS, local, local_times, miles
from features.holidays import days_from_holiday, holidays, is_holiday
from src import simulate
from src.airline_statistics import airline_statistics
from src.simulation.network import ROUTES, TYPES
from src.simulation.shift import ShiftError, shift_from

FLIGHTS, SEED = 40_000, 7
DELAYS, ORACLE, VISIBILITY = 361229.977728, 368245.343552, 7013401.000000
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return simulate.simulate(FLIGHTS, SEED)


@pytest.fixture(scope="module")
def flights(tables: Tables) -> pd.DataFrame:
    return tables[0]


@pytest.fixture(scope="module")
def weather(tables: Tables) -> pd.DataFrame:
    return tables[1]


@pytest.fixture(scope="module")
def truth(tables: Tables) -> pd.DataFrame:
    """Flights that flew, with the best prediction and the noise."""
    joined = tables[0].merge(tables[2], on="flight_id", validate="one_to_one")
    joined["noise"] = joined["actual_delay_minutes"] - joined["oracle_minutes"]
    return joined[~joined["cancelled"]]


def test_as_many_flights_as_asked_for_in_three_years(flights: pd.DataFrame) -> None:
    assert len(flights) == FLIGHTS
    assert flights["flight_id"].is_unique
    assert flights["departure_time"].is_monotonic_increasing
    assert flights["departure_time"].min() >= pd.Timestamp("2022-01-01", tz="UTC")
    assert flights["departure_time"].max() < pd.Timestamp("2025-01-01", tz="UTC")
    assert flights["departure_time"].dt.year.value_counts(normalize=True).min() > 0.3


def test_routes_and_carriers_that_were_promised(flights: pd.DataFrame) -> None:
    assert {"JFK-LAX", "SFO-ORD", "LAX-DEN", "ATL-SEA"} <= set(flights["route"])
    assert {"AA", "UA", "DL", "SW"} <= set(flights["airline"])
    assert set(flights["route"]) <= set(ROUTES)
    assert len(set(flights["origin"])) == len(AIRPORTS)
    assert set(flights["time_of_day"]) == {"night", "morning", "afternoon", "evening"}


def test_the_same_seed_gives_the_same_flights_and_another_does_not() -> None:
    first, again, other = (simulate.simulate(5_000, seed) for seed in (1, 1, 2))
    for one, two in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, two)
    assert not first[0]["actual_delay_minutes"].equals(other[0]["actual_delay_minutes"])


def test_an_aircraft_is_at_one_place_at_a_time(flights: pd.DataFrame) -> None:
    order = flights.sort_values(["tail_number", "departure_time"])
    before = order.groupby("tail_number")[["destination", "arrival_time"]].shift()
    later = before["destination"].notna()
    assert (order["origin"] == before["destination"])[later].all()
    assert (order["departure_time"] > before["arrival_time"])[later].all()
    least = order["aircraft_type"].map({name: kind.turnaround for name, kind in TYPES.items()})
    assert (order["turnaround_minutes"] >= least).all()
    ground = (order["departure_time"] - before["arrival_time"]) / pd.Timedelta(minutes=1)
    same_day = order["inbound_known_at"].notna()
    assert np.allclose(order["turnaround_minutes"][same_day], ground[same_day].clip(upper=720))


def test_no_aircraft_flies_farther_than_it_can(flights: pd.DataFrame) -> None:
    for (kind, origin, destination), _ in flights.groupby(
        ["aircraft_type", "origin", "destination"]
    ):
        assert miles(origin, destination) <= TYPES[kind].miles


def test_the_inbound_delay_is_known_before_departure(flights: pd.DataFrame) -> None:
    later = flights[flights["inbound_known_at"].notna()]
    assert len(later) > FLIGHTS / 2
    assert (later["inbound_known_at"] <= later["departure_time"]).all()
    first = flights[flights["inbound_known_at"].isna()]
    assert (first["inbound_delay_minutes"] == 0).all()


def test_the_noise_is_what_it_is_said_to_be(truth: pd.DataFrame) -> None:
    """Laplace: its median is its mean, 0, and the mean of |noise| is its scale."""
    unit = truth["noise"] / truth["noise_scale"]
    error = 4 / np.sqrt(len(unit))
    assert abs(unit.mean()) < np.sqrt(2) * error
    assert abs(unit.median()) < error
    assert abs(unit.abs().mean() - 1) < error
    assert abs((unit.abs() > np.log(20)).mean() - 0.05) < error


def test_nothing_that_is_known_foretells_the_noise(truth: pd.DataFrame) -> None:
    """Else the oracle would not be the best prediction."""
    known = ["oracle_minutes", "inbound_delay_minutes", "turnaround_minutes", "scheduled_minutes"]
    error = 4.5 / np.sqrt(len(truth))
    for name in known:
        assert abs(np.corrcoef(truth[name], truth["noise"])[0, 1]) < error, name
    previous = truth.sort_values("departure_time").groupby("tail_number")["noise"].shift()
    pairs = previous.notna()
    assert abs(np.corrcoef(previous[pairs], truth["noise"][pairs])[0, 1]) < error


def test_the_problem_is_neither_trivial_nor_hopeless(tables: Tables) -> None:
    report = simulate.noise_report(tables[0], tables[2], SHARES, SEED)
    for name, row in report["splits"].items():
        assert row["oracle"]["r2"] >= 0.8, name
        assert row["mean_baseline"]["mae"] >= 1.8 * row["oracle"]["mae"], name


def test_late_aircraft_are_late_again(truth: pd.DataFrame) -> None:
    least = truth["aircraft_type"].map({name: kind.turnaround for name, kind in TYPES.items()})
    carried = truth["inbound_delay_minutes"] - (truth["turnaround_minutes"] - least)
    assert truth["oracle_minutes"][carried > 20].mean() > truth["oracle_minutes"].mean() + 20
    assert np.corrcoef(carried[carried > 0], truth["oracle_minutes"][carried > 0])[0, 1] > 0.5


def test_conditions_agree_with_the_numbers(weather: pd.DataFrame) -> None:
    by_kind = dict(list(weather.groupby("conditions")))
    assert set(by_kind) == {"clear", "rain", "snow", "fog"}
    assert (by_kind["rain"]["precipitation"] > 0).all()
    assert (by_kind["snow"]["precipitation"] > 0).all()
    assert (by_kind["rain"]["temperature"] > 0.5).all()
    assert (by_kind["snow"]["temperature"] <= 0.5).all()
    assert (by_kind["fog"]["visibility"] < 1.5).all()
    assert (by_kind["fog"]["precipitation"] == 0).all()
    assert (by_kind["clear"]["precipitation"] == 0).all()
    assert (by_kind["clear"]["visibility"] >= 1.5).all()
    assert weather["humidity"].between(0, 100).all()
    assert (weather["wind_speed"] >= 0).all()


def test_weather_has_seasons_places_and_memory(weather: pd.DataFrame) -> None:
    month = weather["time"].dt.month
    mean = weather["temperature"].groupby([weather["airport"], month]).mean()
    assert mean["ORD", 7] > mean["ORD", 1] + 20
    assert mean["MIA", 1] > mean["MSP", 1] + 15
    snow = (weather["conditions"] == "snow").groupby(weather["airport"]).mean()
    assert snow["MSP"] > 0.02
    assert snow["MIA"] == 0
    wind = weather[weather["airport"] == "BOS"]["wind_speed"]
    assert wind.autocorr(1) > 0.8
    assert not weather.duplicated(["airport", "time"]).any()
    assert len(weather) == len(AIRPORTS) * 1096 * 24


def test_bad_weather_delays_and_cancels(flights: pd.DataFrame, weather: pd.DataFrame) -> None:
    seen = flights.assign(time=flights["departure_time"].dt.floor("h")).merge(
        weather, left_on=["origin", "time"], right_on=["airport", "time"], validate="many_to_one"
    )
    assert len(seen) == len(flights)
    by_kind = seen.groupby("conditions")
    delay, cancelled = by_kind["actual_delay_minutes"].mean(), by_kind["cancelled"].mean()
    for kind in ("rain", "snow", "fog"):
        assert delay[kind] > delay["clear"] + 5, kind
    assert cancelled["snow"] > 3 * cancelled["clear"]
    assert 0.005 < flights["cancelled"].mean() < 0.05
    assert (flights["actual_delay_minutes"].isna() == flights["cancelled"]).all()


def test_airline_statistics_hold_only_flights_that_had_landed(flights: pd.DataFrame) -> None:
    """Recomputed the slow way, for some days; what happens later changes nothing."""
    table = airline_statistics(flights).set_index(["airline", "day"])
    flown = flights[~flights["cancelled"]]
    landed = flown["arrival_time"] + pd.to_timedelta(flown["actual_delay_minutes"], unit="min")
    for day in pd.to_datetime(["2022-03-01", "2023-07-04", "2024-12-30"], utc=True):
        past = flown[(flown["airline"] == "DL") & (landed < day)]
        yesterday = past[landed[past.index] >= day - pd.Timedelta(days=1)]
        row = table.loc["DL", day]
        expected = past["actual_delay_minutes"].mean()
        assert row["historical_average_delay"] == pytest.approx(expected, abs=1e-3)
        on_time = 100 * (yesterday["actual_delay_minutes"] < 15).mean()
        assert row["on_time_percentage"] == pytest.approx(on_time, abs=1e-3, nan_ok=True)
    cut = pd.Timestamp("2023-07-04", tz="UTC")
    earlier = airline_statistics(flights[flights["departure_time"] < cut])
    kept = earlier[earlier["day"] <= cut].set_index(["airline", "day"])
    pd.testing.assert_frame_equal(kept, table.loc[kept.index])


def test_the_command_writes_the_raw_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    assert simulate.main(["--flights", "4000"]) == 0
    folder = tmp_path / "data" / "raw"
    flights = pd.read_parquet(folder / "flights.parquet")
    assert len(flights) == 4000
    assert "oracle_minutes" not in flights
    report = json.loads((folder / "noise.json").read_text())
    assert report["noise"]["distribution"].startswith("Laplace")
    assert sum(row["flights"] for row in report["splits"].values()) == (~flights["cancelled"]).sum()
    assert "4,000 flights in data/raw" in capsys.readouterr().out
    assert simulate.main(["--flights", "2000000"]) == 1
    assert "2,000 to 1,000,000" in capsys.readouterr().err


def test_clocks_of_a_million_flights_are_the_clocks_of_one() -> None:
    """Around both changes of the clocks, and in Phoenix, which has none."""
    for day in ("2024-03-10", "2024-11-03", "2023-07-01"):
        times = np.datetime64(day) + np.arange(0, 48 * 60, 15).astype("timedelta64[m]")
        for code in ("JFK", "LAX", "PHX"):
            many = local_times(times, np.full(len(times), code))
            one = [local(time.item(), code).replace(tzinfo=None) for time in times]
            assert many.tolist() == one


def test_holidays_of_a_known_year() -> None:
    dates = {day.strftime("%m-%d") for day in holidays(2024)}
    assert dates == {
        *("01-01", "01-15", "02-19", "05-27", "06-19", "07-04"),
        *("09-02", "10-14", "11-11", "11-28", "12-25"),
    }
    christmas = pd.Timestamp("2024-12-25").date()
    assert is_holiday(christmas)
    assert days_from_holiday(pd.Timestamp("2024-12-31").date()) == 1
    assert days_from_holiday(pd.Timestamp("2024-08-15").date()) == 7


def test_the_default_data_are_what_they_always_were(tables: Tables) -> None:
    """Sums instead of bytes: the last digit of an exponential is the processor's affair."""
    flights, weather, oracle = tables
    assert flights["actual_delay_minutes"].sum() == pytest.approx(DELAYS, rel=1e-9)
    assert oracle["oracle_minutes"].sum() == pytest.approx(ORACLE, rel=1e-9)
    assert weather["visibility"].sum() == pytest.approx(VISIBILITY, rel=1e-9)


def test_a_shift_changes_the_weather_from_its_day_on_and_nothing_before(tables: Tables) -> None:
    day = pd.Timestamp("2024-06-01", tz="UTC")
    flights, weather, oracle = simulate.simulate(FLIGHTS, SEED, shift_from("2024-06-01", "stormy"))
    before = (flights["departure_time"] < day).to_numpy()
    pd.testing.assert_frame_equal(flights[before], tables[0][before])
    pd.testing.assert_frame_equal(oracle[before], tables[2][before])
    for after in (False, True):
        now, was = (table[(table["time"] >= day) == after] for table in (weather, tables[1]))
        assert now.equals(was) is not after
    dry = weather[(weather["time"] >= day) & (weather["conditions"] == "clear")]
    assert (dry["visibility"] < 8).mean() == pytest.approx(0.8, abs=0.05)
    assert dry["visibility"].min() >= 2  # dust, no fog
    truth = flights["actual_delay_minutes"] - oracle["oracle_minutes"]
    unit = (truth / oracle["noise_scale"])[~before].dropna()
    assert abs(unit.abs().mean() - 1) < 4 / np.sqrt(len(unit))  # still the best prediction


@pytest.mark.parametrize(
    ("day", "kind", "says"),
    [
        ("2024-06-01", None, "needs both"),
        (None, "stormy", "needs both"),
        ("2024-06-01", "sunny", "no shift 'sunny', but stormy"),
        ("June", "stormy", "'June' is no day"),
        ("2030-01-01", "stormy", "2030-01-01 is none"),
    ],
)
def test_a_shift_that_can_not_be_is_refused(day: str | None, kind: str | None, says: str) -> None:
    with pytest.raises(ShiftError, match=says):
        shift_from(day, kind)
    arguments = [f"--shift-from={day}"] * (day is not None) + [f"--shift={kind}"] * (
        kind is not None
    )
    assert simulate.main(arguments) == 1
