"""Features: the same for one flight as for many, and nothing in them from after the departure."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import aircraft_features, airline_features, route_features, weather_features
from features.airports import AIRPORTS
from features.holidays import is_holiday
from features.temporal_features import SEASONS, temporal
from features.vector import AIRCRAFT, AIRLINES, DEFAULTS, INPUTS, as_matrix
from features.views import View
from src import feature_eng, feature_stats, preprocess
from src.airline_statistics import airline_statistics

VIEWS = feature_eng.VIEWS
Raw = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def raw(home: Path) -> Raw:
    names = ("flights", "weather", "airlines")
    return {name: pd.read_parquet(home / f"data/raw/{name}.parquet") for name in names}


def views_of(raw: Raw) -> dict[str, pd.DataFrame]:
    return {
        "route": route_features.daily(raw["flights"]),
        "airline": airline_features.daily(raw["flights"], raw["airlines"]),
        "weather": weather_features.hourly(raw["weather"]),
        "aircraft": aircraft_features.departures(raw["flights"]),
    }


@pytest.fixture(scope="module")
def views(home: Path) -> dict[str, pd.DataFrame]:
    folder = home / "data/processed/views"
    return {view.name: pd.read_parquet(folder / f"{view.name}.parquet") for view in VIEWS}


@pytest.fixture(scope="module")
def labels(home: Path) -> pd.DataFrame:
    return feature_eng.labels_from(pd.read_parquet(home / "data/processed/flights.parquet"))


@pytest.fixture(scope="module")
def frame(home: Path) -> pd.DataFrame:
    return pd.read_parquet(home / "data/processed/features.parquet")


# The vector


def test_the_inputs_are_about_45_and_named_once() -> None:
    assert 43 <= len(INPUTS) <= 52
    assert len(set(INPUTS)) == len(INPUTS)


def test_one_flight_gives_the_row_that_many_give(frame: pd.DataFrame) -> None:
    columns = feature_eng.columns(frame.head(400))
    together = as_matrix(columns)
    assert together.dtype == np.float32
    assert not np.isnan(together).any()
    for row in range(0, 400, 37):
        alone = as_matrix({name: values[row : row + 1] for name, values in columns.items()})
        np.testing.assert_array_equal(alone[0], together[row])


def test_what_is_missing_gets_its_default_and_is_said(frame: pd.DataFrame) -> None:
    columns = feature_eng.columns(frame.tail(3))
    for name in ("avg_delay_7d", "origin_temperature", "inbound_delay_minutes"):
        columns[name] = np.array([np.nan, *columns[name][1:]])
    columns["airline"] = np.array(["ZZ", *columns["airline"][1:]])
    row = dict(zip(INPUTS, as_matrix(columns)[0], strict=True))
    assert row["avg_delay_7d"] == DEFAULTS["avg_delay_7d"]
    assert row["origin_temperature"] == DEFAULTS["temperature"]
    assert row["history_missing"] == row["weather_missing"] == row["inbound_missing"] == 1
    assert sum(row[f"airline_{code}"] for code in AIRLINES) == 0


def test_a_column_that_lacks_is_named(frame: pd.DataFrame) -> None:
    columns = feature_eng.columns(frame.head(2))
    del columns["route"], columns["volume_7d"]
    with pytest.raises(ValueError, match="needs the columns route, volume_7d"):
        as_matrix(columns)


def test_categories_are_those_of_the_data(frame: pd.DataFrame) -> None:
    assert set(frame["airline"]) <= set(AIRLINES)
    assert set(frame["aircraft_type"]) <= set(AIRCRAFT)
    matrix = as_matrix(feature_eng.columns(frame))
    names = [INPUTS.index(f"airline_{code}") for code in AIRLINES]
    assert (matrix[:, names].sum(axis=1) == 1).all()


# The clock and the calendar


def one(time: str, airport: str) -> dict[str, float]:
    return {name: float(v[0]) for name, v in temporal(np.array([time], "M8[s]"), [airport]).items()}


def test_hours_are_those_of_the_origin_in_summer_and_winter() -> None:
    assert one("2024-01-10T12:30", "JFK")["hour_of_day"] == 7
    assert one("2024-07-10T12:30", "JFK")["hour_of_day"] == 8
    assert one("2024-07-10T12:30", "PHX")["hour_of_day"] == 5
    assert one("2024-07-10T12:30", "XXX")["clock"] == 12.5
    assert one("2024-01-10T12:30", "JFK")["is_peak_hour"] == 1
    assert one("2024-01-10T18:00", "JFK")["is_peak_hour"] == 0


def test_the_holiday_is_that_of_the_local_day() -> None:
    new_year_in_utc = one("2024-01-01T03:00", "LAX")
    assert new_year_in_utc["is_holiday"] == 0
    assert new_year_in_utc["days_from_holiday"] == 1
    assert one("2024-01-01T03:00", "XXX")["is_holiday"] == 1
    assert one("2024-11-28T18:00", "ATL")["is_holiday"] == 1


@settings(max_examples=150, deadline=None)
@given(
    st.datetimes(datetime(2022, 1, 1), datetime(2026, 12, 30)).map(
        lambda t: t.replace(microsecond=0)
    ),
    st.sampled_from(list(AIRPORTS)),
)
def test_temporal_agrees_with_the_time_zone_database(time: datetime, airport: str) -> None:
    local = time.replace(tzinfo=UTC).astimezone(ZoneInfo(AIRPORTS[airport].zone))
    got = one(time.isoformat(), airport)
    assert got["hour_of_day"] == local.hour
    assert got["day_of_week"] == local.weekday()
    assert got["is_holiday"] == is_holiday(local.date())
    assert SEASONS[int(got["season"])] == SEASONS[local.month % 12 // 3]
    assert got["clock"] == pytest.approx(local.hour + local.minute / 60 + local.second / 3600)


def test_a_missing_departure_is_refused() -> None:
    with pytest.raises(ValueError, match="departure_time is missing"):
        one("NaT", "JFK")


# The views


def test_route_and_airline_histories_agree_with_counting_by_hand(
    raw: Raw, views: dict[str, pd.DataFrame]
) -> None:
    flights = raw["flights"]
    landed = flights["arrival_time"] + pd.to_timedelta(
        flights["actual_delay_minutes"].fillna(0), unit="min"
    )
    for day in pd.to_datetime(["2022-03-01", "2023-07-15", "2024-12-24"], utc=True):
        week = flights[(landed >= day - pd.Timedelta(days=7)) & (landed < day)]
        rows = views["route"][views["route"]["event_timestamp"] == day].set_index("route")
        delay = week.groupby("route")["actual_delay_minutes"]
        compare(rows["avg_delay_7d"], delay.mean())
        compare(rows["std_delay_7d"], delay.std())
        compare(
            rows["on_time_percentage_7d"], 100 * delay.apply(lambda d: (d.dropna() < 15).mean())
        )
        compare(rows["volume_7d"], delay.count().reindex(rows.index, fill_value=0))
        month = flights[(landed >= day - pd.Timedelta(days=30)) & (landed < day)]
        rows = views["airline"][views["airline"]["event_timestamp"] == day].set_index("airline")
        compare(
            rows["airline_avg_delay_30d"], month.groupby("airline")["actual_delay_minutes"].mean()
        )
        compare(rows["airline_cancellation_rate"], month.groupby("airline")["cancelled"].mean())


def test_a_routes_own_delay_is_without_what_came_in_and_the_airlines_usual(
    raw: Raw, views: dict[str, pd.DataFrame]
) -> None:
    flights = raw["flights"]
    flown = flights[flights["actual_delay_minutes"].notna()].copy()
    brought = (flown["inbound_delay_minutes"] - flown["turnaround_minutes"] + 35).clip(lower=0)
    flown["own"] = flown["actual_delay_minutes"] - brought
    landed = flown["arrival_time"] + pd.to_timedelta(flown["actual_delay_minutes"], unit="min")
    flown["counts"] = landed.dt.ceil("D")
    day = pd.Timestamp("2022-04-10", tz="UTC")
    known = flown[flown["counts"] <= day]
    usual = [
        known.loc[(known["airline"] == airline) & (known["counts"] <= counts), "own"].mean()
        for airline, counts in zip(known["airline"], known["counts"], strict=True)
    ]
    known = known.assign(own=known["own"] - usual)
    routes = known.groupby("route")["own"].agg(["sum", "count"])
    expected = (routes["sum"] + 10 * known["own"].mean()) / (routes["count"] + 10)
    rows = views["route"][views["route"]["event_timestamp"] == day].set_index("route")
    compare(rows.loc[expected.index, "own_delay_365d"], expected)


def compare(ours: pd.Series, theirs: pd.Series) -> None:
    np.testing.assert_allclose(ours, theirs.reindex(ours.index), atol=1e-6)


def test_the_aircraft_stream_tells_each_flight_what_came_in(raw: Raw, frame: pd.DataFrame) -> None:
    truth = raw["flights"].set_index("flight_id").loc[frame["flight_id"]]
    for name in aircraft_features.VIEW.columns:
        np.testing.assert_array_equal(frame[name].to_numpy(), truth[name].to_numpy())


def test_no_flight_finds_its_own_delay_in_the_aircraft_stream(raw: Raw) -> None:
    flights = raw["flights"]
    ordered = flights.sort_values(["tail_number", "departure_time"])
    before = ordered.groupby("tail_number")["departure_time"].shift()
    at_once = (ordered["inbound_known_at"] == before).sum()
    assert at_once > 1_000, "early flights are known to be early the moment they leave"
    events = aircraft_features.departures(flights)
    both = events.merge(
        flights,
        left_on=["tail_number", "event_timestamp"],
        right_on=["tail_number", "departure_time"],
    )
    own_next = both["inbound_delay_minutes_x"] == both["actual_delay_minutes"]
    assert not own_next.any()


def test_a_told_condition_replaces_what_contradicts_it(frame: pd.DataFrame) -> None:
    columns = feature_eng.columns(frame[frame["origin_conditions"] == "clear"].head(5))
    snow = weather_features.told(columns, "snow")
    assert set(snow["origin_conditions"]) == {"snow"}
    assert (snow["origin_precipitation"] > 0).all()
    assert (snow["origin_temperature"] <= -1).all()
    same = weather_features.told(columns, "clear")
    np.testing.assert_array_equal(same["origin_visibility"], columns["origin_visibility"])
    with pytest.raises(ValueError, match="must be one of clear, rain, snow, fog"):
        weather_features.told(columns, "hail")


# Point in time

SMALL = View("small", "who", ("x",), timedelta(hours=3), {})
START = pd.Timestamp("2024-03-01", tz="UTC")
hours = st.integers(0, 12)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), hours, st.integers(0, 3)), max_size=12, unique=True),
    st.lists(st.tuples(st.sampled_from("abc"), hours), min_size=1, max_size=8),
)
def test_asof_takes_the_newest_known_row_within_the_ttl(
    rows: list[tuple[str, int, int]], asked: list[tuple[str, int]]
) -> None:
    view = pd.DataFrame(rows, columns=["who", "hour", "later"])
    view = view.assign(
        event_timestamp=START + pd.to_timedelta(view["hour"].astype(float), unit="h"),
        x=np.arange(len(rows)) * 1.0,
    )
    view["created"] = view["event_timestamp"] + pd.to_timedelta(
        view["later"].astype(float), unit="D"
    )
    flights = pd.DataFrame(asked, columns=["who", "hour"])
    flights["event_timestamp"] = START + pd.to_timedelta(flights["hour"], unit="h")
    flights["place"] = range(len(flights))
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register("flights", flights)
        database.register("small", view)
        join = feature_eng.Join(SMALL, "who", "")
        got = feature_eng.asof(database, "flights", "small", join).df().sort_values("place")
    assert len(got) == len(flights)
    for (who, hour), x in zip(asked, got["x"], strict=True):
        fit = [
            (event, later, place)
            for place, (entity, event, later) in enumerate(rows)
            if entity == who and hour - 3 <= event <= hour
        ]
        # The newest row of all counts, and only if that one is not too old.
        assert (np.isnan(x) and not fit) or x == max(fit)[2]


@pytest.mark.parametrize("rows", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_joins_equal_those_of_pandas(
    rows: int, labels: pd.DataFrame, views: dict[str, pd.DataFrame]
) -> None:
    """An independent join, exactly: every view, at moments on and beside each row's time."""
    rng = np.random.default_rng(11)
    asked = labels.iloc[rng.integers(0, len(labels), rows)].reset_index(drop=True)
    shift = pd.to_timedelta(rng.choice([0, -3600, 60, 86_400, 1], rows), unit="s")
    asked["event_timestamp"] = (asked["event_timestamp"] + shift).dt.as_unit("us")
    ours = feature_eng.historical(asked, views)
    theirs = asked.assign(place=np.arange(len(asked)))
    for join in feature_eng.JOINS:
        entity, columns = join.view.entity, list(join.view.columns)
        view = views[join.view.name].sort_values(["event_timestamp", "created"])
        view = view[[entity, "event_timestamp", *columns]].rename(
            columns={entity: join.by, **{name: join.prefix + name for name in columns}}
        )
        theirs = pd.merge_asof(
            theirs.sort_values("event_timestamp"), view,
            on="event_timestamp", by=join.by, tolerance=pd.Timedelta(join.view.ttl),
        )  # fmt: skip
    theirs = theirs.sort_values("place").drop(columns="place").reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, theirs[list(ours.columns)], check_exact=True)


def test_what_happens_after_a_departure_changes_no_feature_of_it(
    raw: Raw, labels: pd.DataFrame, frame: pd.DataFrame
) -> None:
    now = pd.Timestamp("2023-06-15 14:20", tz="UTC")
    other = rewritten(raw, now)
    known = (frame["event_timestamp"] <= now).to_numpy()
    again = feature_eng.historical(labels[known], views_of(other))
    assert 5_000 < len(again) < len(frame)
    pd.testing.assert_frame_equal(again, frame[known].reset_index(drop=True), check_exact=True)
    later = feature_eng.historical(labels[~known].head(500), views_of(other))
    assert not later.equals(frame[~known].head(500).reset_index(drop=True))


def rewritten(raw: Raw, now: pd.Timestamp) -> Raw:
    """The same raw data with another future: all that became known after `now` is different."""
    flights, weather = raw["flights"].copy(), raw["weather"].copy()
    # An arrival delay is known when the aircraft has taken off, as late as it did.
    took_off = flights["departure_time"] + pd.to_timedelta(
        flights["actual_delay_minutes"].clip(lower=0).fillna(0), unit="min"
    )
    future = (took_off >= now).to_numpy()
    flights.loc[future, "actual_delay_minutes"] += 500
    ahead = (flights["inbound_known_at"] >= now).to_numpy()
    flights.loc[ahead, "inbound_delay_minutes"] += 500
    weather.loc[weather["time"] > now, "temperature"] += 99
    return {"flights": flights, "weather": weather, "airlines": airline_statistics(flights)}


# The command


def test_the_command_says_what_is_missing_then_builds(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    assert feature_eng.main([]) == 1
    assert "python src/simulate.py" in capsys.readouterr().err
    shutil.copytree(home / "data/raw", tmp_path / "data/raw")
    assert feature_eng.main([]) == 1
    assert "python src/preprocess.py" in capsys.readouterr().err
    preprocess.main([])
    assert feature_eng.main([]) == 0
    assert f"{len(INPUTS)} inputs" in capsys.readouterr().out
    made = pd.read_parquet(tmp_path / "data/processed/features.parquet")
    assert made["event_timestamp"].equals(made["departure_time"])
    assert len(made) == len(pd.read_parquet(tmp_path / "data/processed/flights.parquet"))
    assert not {"oracle_minutes", "actual_delay_minutes", "arrival_time"} & set(made)


# Statistics


def test_statistics_find_what_leans_and_what_moved(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    assert feature_stats.main([]) == 1
    assert "python src/feature_eng.py" in capsys.readouterr().err
    hot = frame.assign(
        origin_temperature=frame["origin_temperature"] + 30.0 * (frame["split"] == "test")
    )
    (tmp_path / "data/processed").mkdir(parents=True)
    hot.to_parquet(tmp_path / "data/processed/features.parquet")
    assert feature_stats.main(["--top", "3"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[1].startswith("inbound_delay_minutes")
    assert max(map(len, text.splitlines()[:4])) <= 80
    report = pd.read_json(tmp_path / "reports/feature_stats.json").set_index("name")
    assert list(report.index) == list(INPUTS)
    assert report.loc["origin_temperature", "moved"] > 0.25
    assert report.loc["destination_wind_speed", "moved"] < 0.1
    train = frame[frame["split"] == "train"]
    assert report.loc["std_delay_7d", "missing"] == pytest.approx(
        train["std_delay_7d"].isna().mean()
    )
