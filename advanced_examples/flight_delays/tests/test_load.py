"""Real files: both spellings, local times, midnight as 2400, and rows that can't be used."""

import io
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from src import load, preprocess, simulate

OLDER = (
    "FL_DATE,OP_UNIQUE_CARRIER,TAIL_NUM,ORIGIN,DEST,CRS_DEP_TIME,CRS_ARR_TIME,ARR_DELAY,CANCELLED,"
)
NEWER = (
    "FlightDate,Reporting_Airline,Tail_Number,Origin,OriginCityName,Dest,CRSDepTime,CRSArrTime,"
    "ArrDelay,Cancelled,"
)
GOOD = "2024-01-15,AA,N1AA,JFK,LAX,0800,1130,12.00,0.00,"


def loaded(folder: Path, *lines: str, header: str = OLDER) -> tuple[pd.DataFrame, pd.DataFrame]:
    file = folder / "month.csv"
    file.write_text("\n".join([header, *lines]) + "\n")
    flights, quarantine, _ = load.load_flights(file)
    return flights, quarantine


def times(flights: pd.DataFrame) -> list[tuple[str, str]]:
    return [
        (row.departure_time.strftime("%m-%d %H:%M"), row.arrival_time.strftime("%m-%d %H:%M"))
        for row in flights.itertuples()
    ]


def test_local_times_become_utc(tmp_path: Path) -> None:
    flights, quarantine = loaded(
        tmp_path,
        GOOD,
        "2024-07-15,AA,N2AA,JFK,LAX,0800,1130,-3.00,0.00,",
        "2024-07-15,AA,N3AA,PHX,DEN,0800,1050,0.00,0.00,",
    )
    assert quarantine.empty
    assert times(flights) == [
        ("01-15 13:00", "01-15 19:30"),
        ("07-15 12:00", "07-15 18:30"),
        ("07-15 15:00", "07-15 16:50"),
    ]
    assert flights["scheduled_minutes"].tolist() == [390, 390, 110]


def test_nights_and_midnight(tmp_path: Path) -> None:
    """A night flight lands the next day; 2400 is the end of the day; west, the clock goes back."""
    flights, _ = loaded(
        tmp_path,
        "2024-01-15,AA,N1AA,LAX,JFK,2200,0630,0.00,0.00,",
        "2024-01-16,AA,N2AA,LAX,SFO,2230,2400,0.00,0.00,",
        "2024-01-17,AA,N3AA,LAX,SFO,2400,0130,0.00,0.00,",
        "2024-01-20,AA,N4AA,DTW,ORD,0010,2359,0.00,0.00,",
    )
    assert times(flights) == [
        ("01-16 06:00", "01-16 11:30"),
        ("01-17 06:30", "01-17 08:00"),
        ("01-18 08:00", "01-18 09:30"),
        ("01-20 05:10", "01-20 05:59"),
    ]


def test_the_hours_that_the_clocks_repeat_and_leave_out(tmp_path: Path) -> None:
    flights, quarantine = loaded(
        tmp_path,
        "2024-03-10,AA,N1AA,JFK,BOS,0230,0400,0.00,0.00,",
        "2024-11-03,AA,N2AA,JFK,BOS,0130,0300,0.00,0.00,",
    )
    assert quarantine.empty
    assert times(flights) == [("03-10 07:00", "03-10 08:00"), ("11-03 05:30", "11-03 08:00")]


def test_both_spellings_and_a_comma_in_a_name(tmp_path: Path) -> None:
    newer = '2024-01-15,WN,N1AA,JFK,"New York, NY",LAX,0800,1130,12.00,0.00,'
    flights, _ = loaded(tmp_path, newer, header=NEWER)
    older, _ = loaded(tmp_path, GOOD.replace("AA", "WN", 1))
    assert flights["airline"].tolist() == ["SW"]
    pd.testing.assert_frame_equal(flights, older)
    american, _ = loaded(tmp_path, GOOD.replace("2024-01-15", "1/15/2024 12:00:00 AM"))
    assert times(american) == times(older)


def test_bad_rows_are_kept_apart_with_line_and_reason(tmp_path: Path) -> None:
    flights, quarantine = loaded(
        tmp_path,
        GOOD,
        "2024-01-35,AA,N1AA,JFK,LAX,0800,1130,12.00,0.00,",
        "2024-01-15,AA,N1AA,JFK",
        "2024-01-15,AA,N2AA,JFK,LAX,0875,1130,12.00,0.00,",
        "",
        "2024-01-15,AA,N3AA,JFK,LAX,0800,1130,,0.00,",
        "2024-01-15,,N3AA,JFK,LAX,0800,1130,5,0.00,",
        "2024-01-15,AA,N3AA,JFK,JFK,0800,1130,5,0.00,",
        "2024-01-15,AA,N3AA,JFK,LAX,0800,1130,5,maybe,",
        "2024-01-15,AA,N4AA,JFK,LAX,0900,1230,,1.00,",
    )
    assert flights["cancelled"].tolist() == [False, True]
    assert flights["actual_delay_minutes"].isna().tolist() == [False, True]
    found = dict(zip(quarantine["line"], quarantine["reason"], strict=True))
    assert list(found) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert "date" in found[3]
    assert found[4] == "4 fields instead of 10"
    assert "hhmm" in found[5]
    assert "missing" in found[6]
    assert "without an arrival delay" in found[7]
    assert "missing" in found[8]
    assert "to itself" in found[9]
    assert "neither 0 nor 1" in found[10]


def test_the_inbound_delay_looks_at_nothing_later_than_departure(tmp_path: Path) -> None:
    flights, _ = loaded(
        tmp_path,
        "2024-01-15,AA,N1AA,JFK,BOS,0800,0900,30,0,",
        "2024-01-15,AA,N1AA,BOS,JFK,1000,1100,95,0,",
        "2024-01-15,AA,N1AA,JFK,BOS,1200,1300,-8,0,",
        "2024-01-15,AA,N1AA,BOS,JFK,1400,1500,,1,",
        "2024-01-15,AA,N1AA,JFK,BOS,1600,1700,2,0,",
        "2024-01-15,AA,N1AA,ATL,BOS,1900,2100,2,0,",
        "2024-01-15,AA,,JFK,BOS,2200,2300,2,0,",
    )
    assert flights["inbound_delay_minutes"].tolist() == [0, 30, 60, -8, 0, 0, 0]
    assert flights["turnaround_minutes"].tolist() == [720, 60, 60, 60, 60, 720, 720]
    known = flights["inbound_known_at"]
    assert known.isna().tolist() == [True, False, False, False, False, True, True]
    assert (known.dropna() <= flights["departure_time"][known.notna()]).all()


def test_missing_columns_are_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(load.LoadError) as error:
        loaded(tmp_path, "2024-01-15,AA", header="FL_DATE,OP_UNIQUE_CARRIER")
    assert "CRS_DEP_TIME or CRSDepTime" in str(error.value)
    assert "transtats.bts.gov" in str(error.value)
    assert "FL_DATE" not in str(error.value)


def test_a_folder_of_csv_and_zip(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{OLDER}\n{GOOD}\n")
    text = io.StringIO(f"{OLDER}\n{GOOD.replace('01-15', '02-15')}\nrubbish\n")
    with zipfile.ZipFile(tmp_path / "b.ZIP", "w") as archive:
        archive.writestr("On_Time_2024_2.csv", text.getvalue())
        archive.writestr("readme.html", "<p>Fields</p>")
    flights, quarantine, _ = load.load_flights(tmp_path)
    assert flights["departure_time"].dt.month.tolist() == [1, 2]
    assert quarantine["file"].tolist() == ["b.ZIP/On_Time_2024_2.csv"]
    assert quarantine["line"].tolist() == [3]


def test_what_can_not_be_loaded_is_said_plainly(tmp_path: Path) -> None:
    for place, says in (
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path, "No CSV in"),
    ):
        with pytest.raises(load.LoadError, match=says):
            load.load_flights(place)
    with pytest.raises(load.LoadError, match="1 have airports"):
        loaded(tmp_path, GOOD.replace("LAX", "HNL"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(load.LoadError, match="lacks the columns"):
        load.load_flights(tmp_path / "empty.csv")
    (tmp_path / "broken.zip").write_text("no zip")
    with pytest.raises(load.LoadError, match="not a zip file"):
        load.load_flights(tmp_path / "broken.zip")


def test_weather_is_checked(tmp_path: Path) -> None:
    header = ",".join(load.WEATHER)
    file = tmp_path / "weather.csv"
    file.write_text(f"{header}\nJFK,2024-01-15T13:51:00Z,1.5,80,20,16,0,clear\n")
    weather = load.load_weather(file)
    assert weather["time"].tolist() == [pd.Timestamp("2024-01-15T13:00Z")]
    assert load.load_weather(None).dtypes.to_dict() == weather.dtypes.to_dict()
    for text, says in (
        ("airport,time\nJFK,2024", "lacks columns"),
        (f"{header}\nJFK,soon,1,80,20,16,0,clear\n", "can't be read"),
        (f"{header}\nJFK,2024-01-15,1,80,20,16,0,hail\n", "not hail"),
    ):
        file.write_text(text)
        with pytest.raises(load.LoadError, match=says):
            load.load_weather(file)


def test_loaded_flights_go_where_simulated_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    assert simulate.main(["--flights", "2500"]) == 0
    raw = tmp_path / "data" / "raw"
    simulated = {file.name: pd.read_parquet(file) for file in raw.glob("*.parquet")}
    lines = [GOOD.replace("01-15", f"01-{day:02}") for day in range(1, 29)]
    (tmp_path / "months.csv").write_text("\n".join([OLDER, *lines]))
    assert load.main(["--data", str(tmp_path / "months.csv")]) == 0
    assert "28 flights in data/raw; 0 rows in quarantine.csv" in capsys.readouterr().out
    for name in ("flights", "weather", "airlines"):
        table = pd.read_parquet(raw / f"{name}.parquet")
        assert table.dtypes.to_dict() == simulated[f"{name}.parquet"].dtypes.to_dict(), name
        assert list(table) == list(simulated[f"{name}.parquet"])
    assert not (raw / "oracle.parquet").exists(), "nobody knows the noise of real flights"
    assert json.loads((raw / "noise.json").read_text())["source"] == "loaded"
    assert preprocess.main([]) == 0
    assert load.main(["--data", str(tmp_path / "none")]) == 1
    assert "does not exist" in capsys.readouterr().err
