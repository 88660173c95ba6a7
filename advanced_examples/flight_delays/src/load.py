"""Load real flights: the public on-time-performance files, instead of simulated ones.

    python src/load.py --data PATH                 a CSV or zip file, or a folder of them
    python src/load.py --data PATH --weather CSV   with hourly weather

PATH holds "Reporting Carrier On-Time Performance" of the US Bureau of Transportation Statistics
(transtats.bts.gov), in today's column names (FlightDate) or the older ones (FL_DATE). Its times are
local to each airport and become UTC. Rows that can't be used go to data/raw/quarantine.csv with
file, line and reason; flights from or to airports that features/airports.py doesn't know are
counted and left out. The weather file has a line per airport and hour (UTC, C, %, km/h, km, mm):
airport,time,temperature,humidity,wind_speed,visibility,precipitation,conditions (clear, rain, snow,
fog). Without it the weather features stay empty.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from features.airports import AIRPORTS, time_of_day
from src import paths
from src.airline_statistics import airline_statistics

SPELLINGS: dict[str, tuple[str, ...]] = {
    "date": ("FL_DATE", "FlightDate"),
    "airline": (
        "OP_UNIQUE_CARRIER",
        "REPORTING_AIRLINE",
        "Reporting_Airline",
        "OP_CARRIER",
        "UNIQUE_CARRIER",
        "UniqueCarrier",
    ),
    "tail_number": ("TAIL_NUM", "Tail_Number", "TailNum"),
    "origin": ("ORIGIN", "Origin"),
    "destination": ("DEST", "Dest"),
    "departs": ("CRS_DEP_TIME", "CRSDepTime"),
    "arrives": ("CRS_ARR_TIME", "CRSArrTime"),
    "delay": ("ARR_DELAY", "ArrDelay"),
    "cancelled": ("CANCELLED", "Cancelled"),
}
OURS = {"WN": "SW"}  # Southwest, by the code that this project uses
CONDITIONS = {"clear", "rain", "snow", "fog"}
WEATHER_NUMBERS = ["temperature", "humidity", "wind_speed", "visibility", "precipitation"]
WEATHER = ["airport", "time", *WEATHER_NUMBERS, "conditions"]
NO_TYPE = "unknown"  # the files know an aircraft by its tail number only
LONGEST_TURNAROUND = 720.0
COLUMNS = (
    "flight_id",
    "airline",
    "departure_time",
    "arrival_time",
    "actual_delay_minutes",
    "cancelled",
    "route",
    "origin",
    "destination",
    "aircraft_type",
    "tail_number",
    "time_of_day",
    "scheduled_minutes",
    "inbound_delay_minutes",
    "inbound_known_at",
    "turnaround_minutes",
)


class LoadError(Exception):
    """The files can't be loaded; the text says what to do."""


def files(place: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Every CSV in `place` (a CSV, a zip, or a folder of both), by name, open for reading.

    Raises:
        LoadError: there is none.
    """
    if not place.exists():
        raise LoadError(f"{place} does not exist. --data takes a CSV or zip file, or a folder.")
    found = False
    inside = sorted(path for path in place.rglob("*") if path.is_file())
    for path in inside if place.is_dir() else [place]:
        if path.suffix.lower() == ".zip":
            if not zipfile.is_zipfile(path):
                raise LoadError(f"{path.name} is not a zip file. Download it again.")
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    if name.lower().endswith(".csv"):
                        found = True
                        with archive.open(name) as member:
                            yield f"{path.name}/{name}", member
        elif path.suffix.lower() == ".csv":
            found = True
            with path.open("rb") as file:
                yield path.name, file
    if not found:
        raise LoadError(f"No CSV in {place}. Unpack the download, or name its zip file.")


def read(name: str, file: IO[bytes]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns we need as text, with their line; and the lines that are no rows at all.

    Raises:
        LoadError: columns are missing, or the file is no CSV.
    """
    broken: list[tuple[int, str]] = []

    def put_aside(row: csv.InvalidRow) -> str:
        reason = f"{row.actual_columns} fields instead of {row.expected_columns}"
        broken.append((row.number, reason))
        return "skip"

    content = pa.BufferReader(file.read())
    header = content.read(min(content.size(), 1 << 16)).decode("utf-8-sig", "replace")
    titles = [title.strip().strip('"') for title in header.split("\n", 1)[0].split(",")]
    chosen = choose(titles, name)
    content.seek(0)
    try:
        table = csv.read_csv(
            content,
            csv.ReadOptions(use_threads=False),
            csv.ParseOptions(invalid_row_handler=put_aside, ignore_empty_lines=False),
            csv.ConvertOptions(
                include_columns=list(chosen.values()),
                column_types=dict.fromkeys(chosen.values(), pa.string()),
            ),
        )
    except pa.ArrowInvalid as error:
        raise LoadError(f"{name} is not a CSV file that can be read: {error}") from error
    rows = table.to_pandas().set_axis(list(chosen), axis=1)
    bad_lines = {line for line, _ in broken}
    lines = (line for line in range(2, len(rows) + len(broken) + 2) if line not in bad_lines)
    rows.insert(0, "line", list(lines))
    return rows, pd.DataFrame(broken, columns=["line", "reason"])


def choose(titles: list[str], name: str) -> dict[str, str]:
    """Which of the file's columns is which of ours, in whatever spelling."""
    chosen = {}
    for ours, spellings in SPELLINGS.items():
        known = [title for title in spellings if title in titles]
        if known:
            chosen[ours] = known[0]
    missing = [spellings for ours, spellings in SPELLINGS.items() if ours not in chosen]
    if missing:
        wanted = ", ".join(" or ".join(dict.fromkeys(names[:2])) for names in missing)
        raise LoadError(
            f"{name} lacks the columns {wanted}. When you download from transtats.bts.gov, tick "
            "these fields, or take the prezipped file, which has all of them."
        )
    return chosen


def parse(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Typed columns of one file's `rows`, and the reason why a row is bad ('' if it isn't)."""
    text = rows.apply(lambda column: column.str.strip() if column.dtype == object else column)
    date = pd.to_datetime(text["date"].str.split(" ").str[0], errors="coerce", format="mixed")
    departs, arrives = clock_minutes(text["departs"]), clock_minutes(text["arrives"])
    cancelled = pd.to_numeric(text["cancelled"], errors="coerce")
    delay = pd.to_numeric(text["delay"], errors="coerce")
    typed = pd.DataFrame(
        {
            "airline": text["airline"].replace(OURS),
            "tail_number": text["tail_number"].replace("", np.nan),
            "origin": text["origin"],
            "destination": text["destination"],
            "date": date,
            "departs": departs,
            "arrives": arrives,
            "cancelled": cancelled == 1,
            "actual_delay_minutes": delay.where(cancelled == 0),
        }
    )
    named = text[["airline", "origin", "destination"]].isin(["", None]).any(axis=1)
    problems = {
        "airline or airport is missing": named,
        "date can't be read": date.isna(),
        "scheduled time is not hhmm": departs.isna() | arrives.isna(),
        "cancelled is neither 0 nor 1": ~cancelled.isin([0, 1]),
        "flown, but without an arrival delay (diverted?)": (cancelled == 0) & delay.isna(),
        "from an airport to itself": text["origin"] == text["destination"],
    }
    reason = np.select(list(problems.values()), list(problems), "")
    return typed, pd.Series(reason, index=rows.index)


def clock_minutes(hhmm: pd.Series) -> pd.Series:
    """Minutes after midnight from `hhmm`, in which 2400 ends the day; NaN where it is no time."""
    number = pd.to_numeric(hhmm, errors="coerce")
    whole = number.where((number >= 0) & (number <= 2400) & (number % 1 == 0) & (number % 100 < 60))
    return whole // 100 * 60 + whole % 100


def to_utc(local: pd.Series, airports: pd.Series) -> pd.Series:
    """Local times on the clocks of `airports` in UTC.

    In the hour that autumn repeats the first is meant; the one that spring leaves out has passed.
    """
    result = pd.Series(pd.NaT, index=local.index, dtype="datetime64[us, UTC]")
    for code, rows in airports.groupby(airports).groups.items():
        zoned = local.loc[rows].dt.tz_localize(
            AIRPORTS[str(code)].zone,
            ambiguous=np.ones(len(rows), dtype=bool),
            nonexistent="shift_forward",
        )
        result.loc[rows] = zoned.dt.tz_convert("UTC").dt.as_unit("us")
    return result


def flights_from(typed: pd.DataFrame) -> pd.DataFrame:
    """The raw table of flights, as src/simulate.py makes it, from good rows of known airports."""
    departs = typed["date"] + pd.to_timedelta(typed["departs"], unit="min")
    departure = to_utc(departs, typed["origin"])
    arrives = typed["date"] + pd.to_timedelta(typed["arrives"], unit="min")
    same_day = to_utc(arrives, typed["destination"])
    late = np.ceil((departure - same_day) / pd.Timedelta(days=1) + 1e-9).clip(lower=0)
    arrival = to_utc(arrives + pd.to_timedelta(late, unit="D"), typed["destination"])
    early = arrival - departure > pd.Timedelta(days=1)
    arrival = arrival.where(~early, arrival - pd.Timedelta(days=1))
    flights = typed.drop(columns=["date", "departs", "arrives"]).assign(
        departure_time=departure,
        arrival_time=arrival,
        route=typed["origin"] + "-" + typed["destination"],
        aircraft_type=NO_TYPE,
        scheduled_minutes=(arrival - departure) / pd.Timedelta(minutes=1),
    )
    keys = ["departure_time", "airline", "tail_number", "route"]
    flights = flights.sort_values(keys, kind="stable", ignore_index=True)
    flights.insert(0, "flight_id", [f"F{number:08d}" for number in range(1, len(flights) + 1)])
    naive = flights["departure_time"].dt.tz_localize(None).to_numpy()
    flights["time_of_day"] = time_of_day(naive, flights["origin"].to_numpy().astype(str))
    return with_inbound(flights)


def with_inbound(flights: pd.DataFrame) -> pd.DataFrame:
    """Add what is known at departure of the aircraft's flight before this one.

    An aircraft that has landed by then is as late as it was. One that hasn't is late by all the
    time since it was due: the rest of its delay lies in the future and isn't looked at.
    """
    order = flights.sort_values(["tail_number", "departure_time"], kind="stable")
    before = order.groupby("tail_number", sort=False)[
        ["arrival_time", "destination", "actual_delay_minutes"]
    ].shift()
    minute = pd.Timedelta(minutes=1)
    ground = (order["departure_time"] - before["arrival_time"]) / minute
    follows = (before["destination"] == order["origin"]) & ground.between(0, LONGEST_TURNAROUND)
    delay = before["actual_delay_minutes"].fillna(0.0)
    known = np.minimum(delay, ground).where(follows, 0.0)
    # In microseconds throughout, so that simulated and loaded files have one schema.
    landed = before["arrival_time"] + pd.to_timedelta(known.clip(lower=0), unit="min").dt.round("s")
    order["inbound_delay_minutes"] = known
    order["inbound_known_at"] = landed.where(follows).dt.as_unit("us")
    order["turnaround_minutes"] = ground.where(follows, LONGEST_TURNAROUND)
    return order.sort_index()[list(COLUMNS)]


def load_flights(place: Path) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Flights of all files in `place`; quarantined rows; how many had unknown airports.

    Raises:
        LoadError: nothing can be read, columns are missing, or no flight is left.
    """
    good, bad, elsewhere = [], [], 0
    for name, file in files(place):
        rows, broken = read(name, file)
        typed, reason = parse(rows)
        refused = pd.DataFrame({"line": rows["line"], "reason": reason})[reason != ""]
        bad.append(pd.concat([broken, refused]).sort_values("line").assign(file=name))
        ends = typed[["origin", "destination"]]
        known = ends.isin(list(AIRPORTS)).all(axis=1)
        elsewhere += int(((reason == "") & ~known).sum())
        good.append(typed[(reason == "") & known])
    quarantine = pd.concat(bad, ignore_index=True)[["file", "line", "reason"]]
    flights = pd.concat(good, ignore_index=True)
    if flights.empty:
        raise LoadError(
            f"No usable flight in {place}: {len(quarantine):,} rows are bad, {elsewhere:,} have "
            "airports that features/airports.py does not list."
        )
    return flights_from(flights), quarantine, elsewhere


def load_weather(file: Path | None) -> pd.DataFrame:
    """The hourly weather in `file`, checked; without a file a table of no rows.

    Raises:
        LoadError: columns are missing, or a value is impossible.
    """
    if file is None:
        numbers = {name: pd.Series(dtype="float64") for name in WEATHER_NUMBERS}
        times = pd.Series(dtype="datetime64[us, UTC]")
        table = {"airport": pd.Series(dtype=object), "time": times, **numbers}
        return pd.DataFrame({**table, "conditions": pd.Series(dtype=object)})
    try:
        weather = pd.read_csv(file)
        weather = weather[WEATHER].astype(dict.fromkeys(WEATHER_NUMBERS, "float64"))
        weather["time"] = pd.to_datetime(weather["time"], utc=True).dt.as_unit("us")
    except KeyError as error:
        raise LoadError(f"{file} lacks columns; it needs {', '.join(WEATHER)}.") from error
    except (OSError, ValueError) as error:
        raise LoadError(f"{file} can't be read as hourly weather: {error}") from error
    strange = sorted(set(weather["conditions"].astype(str)) - CONDITIONS)
    if strange:
        raise LoadError(f"{file}: conditions must be clear, rain, snow or fog, not {strange[0]}.")
    weather["time"] = weather["time"].dt.floor("h")
    return weather.drop_duplicates(["airport", "time"], keep="last")


def write(folder: Path, place: Path, weather_file: Path | None) -> dict[str, Any]:
    """Load and write the raw data into `folder`, in place of simulated ones; returns counts."""
    weather = load_weather(weather_file)
    flights, quarantine, elsewhere = load_flights(place)
    folder.mkdir(parents=True, exist_ok=True)
    flights.to_parquet(folder / "flights.parquet", index=False)
    weather.to_parquet(folder / "weather.parquet", index=False)
    airline_statistics(flights).to_parquet(folder / "airlines.parquet", index=False)
    quarantine.to_csv(folder / "quarantine.csv", index=False)
    # Nobody knows the noise of real flights: what a simulation left behind would be a lie.
    (folder / "oracle.parquet").unlink(missing_ok=True)
    report = {
        "source": "loaded",
        "flights": len(flights),
        "quarantined": len(quarantine),
        "other_airports": elsewhere,
        "weather_hours": len(weather),
    }
    (folder / "noise.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def main(argv: list[str] | None = None) -> int:
    """Load what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a CSV or zip file, or a folder")
    parser.add_argument("--weather", type=Path, help="a CSV file of hourly weather")
    wanted = parser.parse_args(argv)
    try:
        report = write(paths.raw(), wanted.data, wanted.weather)
    except LoadError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{report['flights']:,} flights in {paths.shown(paths.raw())}; {report['quarantined']:,} "
        f"rows in quarantine.csv; {report['other_airports']:,} with other airports left out; "
        f"{report['weather_hours']:,} hours of weather"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
