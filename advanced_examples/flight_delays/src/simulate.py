"""Simulate flights of 2022 to 2024, with weather, whose best possible prediction is known.

    python src/simulate.py                      as many flights as params.yaml says
    python src/simulate.py --flights 1000000    up to a million
    python src/simulate.py --shift stormy --shift-from 2024-06-01    dust storms from then on

Writes data/raw: flights, weather and airlines as parquet; oracle.parquet, each flight's best
possible prediction, which no model may read; noise.json, what no model can know.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.airports import CODES, time_of_day
from src import params, paths
from src.airline_statistics import airline_statistics
from src.preprocess import SPLITS, split_by_day
from src.scores import score
from src.simulation.delays import NOISE_IN_BAD_WEATHER, NOISE_MINUTES, Delays, make_delays
from src.simulation.network import CARRIERS, TYPES
from src.simulation.schedule import START, Fleet, Schedule, fleet_for, make_schedule
from src.simulation.shift import KINDS, Shift, ShiftError, shift_from
from src.simulation.weather import CONDITIONS, HOURS, Weather, make_weather


def simulate(
    flights: int, seed: int, shift: Shift | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Tables of flights, weather and oracle for `flights` flights; the same seed, the same data.

    With a shift they are the same until its day.
    """
    rngs = [np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(4)]
    fleet = fleet_for(flights, rngs[0])
    schedule = make_schedule(flights, fleet, rngs[1])
    weather = make_weather(rngs[2], shift)
    delays = make_delays(schedule, fleet, weather, rngs[3], shift)
    table = flight_table(schedule, fleet, delays)
    oracle = pd.DataFrame(
        {
            "flight_id": table["flight_id"],
            "oracle_minutes": delays.expected,
            "noise_scale": delays.scale,
        }
    )
    return table, weather_table(weather), oracle


def flight_table(schedule: Schedule, fleet: Fleet, delays: Delays) -> pd.DataFrame:
    """One row per flight, as an airline's system would hold it."""
    codes = np.array(CODES)
    origin, destination = codes[schedule.origin], codes[schedule.destination]
    departure = moments(schedule.departure)
    carrier, kind = fleet.carrier[schedule.aircraft], fleet.type[schedule.aircraft]
    return pd.DataFrame(
        {
            "flight_id": [f"F{number:08d}" for number in range(1, len(departure) + 1)],
            "airline": np.array(list(CARRIERS))[carrier],
            "departure_time": utc(departure),
            "arrival_time": utc(moments(schedule.arrival)),
            "actual_delay_minutes": delays.actual,
            "cancelled": delays.cancelled,
            "route": np.char.add(np.char.add(origin, "-"), destination),
            "origin": origin,
            "destination": destination,
            "aircraft_type": np.array(list(TYPES))[kind],
            "tail_number": fleet.tail[schedule.aircraft],
            "time_of_day": time_of_day(departure, origin),
            "scheduled_minutes": (schedule.arrival - schedule.departure).astype(float),
            "inbound_delay_minutes": delays.inbound,
            "inbound_known_at": utc(moments(delays.known_at)),
            "turnaround_minutes": schedule.turnaround.astype(float),
        }
    )


def moments(minutes: NDArray[Any]) -> NDArray[np.datetime64]:
    """Minutes since START as times, to the second; NaN becomes NaT."""
    known = ~np.isnan(minutes)
    seconds = np.rint(np.where(known, minutes, 0) * 60).astype("timedelta64[s]")
    return np.where(known, START.astype("M8[s]") + seconds, np.datetime64("NaT", "s"))


def utc(times: NDArray[np.datetime64]) -> pd.DatetimeIndex:
    """Times with their zone, in microseconds."""
    return pd.DatetimeIndex(times).as_unit("us").tz_localize("UTC")


def weather_table(weather: Weather) -> pd.DataFrame:
    """One row per airport and hour."""
    hours = utc(START.astype("M8[s]") + np.arange(HOURS) * np.timedelta64(3600, "s"))
    return pd.DataFrame(
        {
            "airport": np.repeat(CODES, HOURS),
            "time": hours.append([hours] * (len(CODES) - 1)),
            "temperature": weather.temperature.ravel(),
            "humidity": weather.humidity.ravel(),
            "wind_speed": weather.wind_speed.ravel(),
            "visibility": weather.visibility.ravel(),
            "precipitation": weather.precipitation.ravel(),
            "conditions": np.array(CONDITIONS)[weather.conditions.ravel()],
        }
    )


def noise_report(
    flights: pd.DataFrame, oracle: pd.DataFrame, shares: dict[str, float], seed: int
) -> dict[str, Any]:
    """What the noise is, and how well the best and the simplest prediction do on each split."""
    split = split_by_day(flights["departure_time"], shares)
    flown = ~flights["cancelled"]
    mean = float(flights.loc[flown & (split == "train"), "actual_delay_minutes"].mean())
    by_split = {}
    for name in SPLITS:
        rows = flown & (split == name)
        truth = flights.loc[rows, "actual_delay_minutes"].to_numpy()
        by_split[name] = {
            "flights": int(rows.sum()),
            "oracle": errors(truth, oracle.loc[rows, "oracle_minutes"].to_numpy()),
            "mean_baseline": errors(truth, np.full(len(truth), mean)),
        }
    return {
        "source": "simulated",
        "flights": len(flights),
        "seed": seed,
        "noise": {
            "distribution": "Laplace(0, scale), added to each delay, independent of all else",
            "scale_minutes": NOISE_MINUTES,
            "scale_in_bad_weather": f"times 1 + {NOISE_IN_BAD_WEATHER} * severity (0 to 1)",
            "known": "oracle.parquet holds each flight's expected delay and scale",
        },
        "cancelled_share": round(float(flights["cancelled"].mean()), 4),
        "mean_delay_train": round(mean, 3),
        "splits": by_split,
    }


def errors(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float]:
    """MAE and RMSE in minutes, and the share of the variance explained."""
    found = score(truth, predicted)
    return {"mae": found.mae, "rmse": found.rmse, "r2": found.r2}


def write(
    folder: Path, flights: int, seed: int, shares: dict[str, float], shift: Shift | None = None
) -> dict[str, Any]:
    """Simulate and write the raw data into `folder`; returns the noise report."""
    table, weather, oracle = simulate(flights, seed, shift)
    report = noise_report(table, oracle, shares, seed)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / "flights.parquet", index=False)
    weather.to_parquet(folder / "weather.parquet", index=False)
    airline_statistics(table).to_parquet(folder / "airlines.parquet", index=False)
    oracle.to_parquet(folder / "oracle.parquet", index=False)
    (folder / "noise.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def main(argv: list[str] | None = None) -> int:
    """Simulate as params.yaml and the command line say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flights", type=int, help="how many flights (default: params.yaml)")
    parser.add_argument("--shift", help=f"another weather: {', '.join(KINDS)} (default: none)")
    parser.add_argument("--shift-from", metavar="DAY", help="from this day (UTC) on")
    wanted = parser.parse_args(argv)
    try:
        chosen = params.load(flights=wanted.flights)
        shift = shift_from(wanted.shift_from, wanted.shift)
    except (params.ParamsError, ShiftError) as error:
        print(error, file=sys.stderr)
        return 1
    start = time.perf_counter()
    report = write(paths.raw(), chosen["flights"], chosen["seed"], chosen["split"], shift)
    print(
        f"{report['flights']:,} flights in {paths.shown(paths.raw())}, "
        f"{report['cancelled_share']:.1%} cancelled, {time.perf_counter() - start:.1f} s"
    )
    print("\nsplit       flights   best MAE   best R2   mean's MAE")
    for name, row in report["splits"].items():
        best, mean = row["oracle"], row["mean_baseline"]
        print(
            f"{name:10} {row['flights']:>8,} {best['mae']:>10.2f} {best['r2']:>9.3f}"
            f" {mean['mae']:>12.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
