"""The drift drill: the weather shifts, and the way back is watched, with real processes all along.

    python src/drill.py                     40,000 flights, minutes
    python src/drill.py --flights 100000    smoother curves

A world of its own under drill/ in the home folder: flights in which dust storms begin on 1 June
2024. A service answers with a champion of May, the exporter and Prometheus (if `prometheus` is
there) watch it by the project's alert rules, and each day passes in about half a second. On each
Monday on which the accuracy alert fires, src/retrain.py runs. Writes reports/drill.png,
reports/drill.html and reports/drill.json. Needs Redis (REDIS_URL). Models are smaller than the
walk's, so that a drill takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import redis

from src import feature_eng, packed, params, paths, registry, simulate
from src.drilling import page
from src.drilling.days import DAY, Days, ask
from src.drilling.watching import LEAST_ACCURACY, Watcher, prometheus
from src.service.process import service
from src.simulation.shift import shift_from
from src.store import redis_url

SHIFT, KIND = pd.Timestamp("2024-06-01", tz="UTC"), "stormy"
FIRST, LAST = SHIFT - 18 * DAY, SHIFT + 70 * DAY
CALM_DAYS = 14  # that a recovery must last
WINDOW = 500  # flights that each figure rests on: the fewest for which drift is computed
FLIGHTS, KEY = 40_000, "key-of-the-drill"
SMALLER: dict[str, dict[str, Any]] = {
    "xgboost": {"n_estimators": 100, "learning_rate": 0.1},
    "network": {"layers": [32], "epochs": 6, "batch_size": 256, "learning_rate": 0.004},
}
ACCURACY_ALERT = "FlightAccuracyLow"
PACE = 0.3  # seconds that a day lasts at least, so that alerts which must hold for 1.5 take days
FAILED, UNAVAILABLE = 1, 69
BIN = "Scripts/python.exe" if os.name == "nt" else "bin/python"
SERVING = paths.PROJECT / "environments" / "serving" / ".venv" / BIN


class DrillError(Exception):
    """The drill can't go on; the text says why. `code` is the exit code."""

    def __init__(self, why: str, code: int = FAILED) -> None:
        super().__init__(why)
        self.code = code


@dataclass
class Drill:
    """What runs, and what has been noted so far."""

    home: Path
    environment: dict[str, str]
    url: str
    watcher: Watcher
    days: Days
    say: Callable[[str], None]
    version: str = "v1"
    notes: list[dict[str, Any]] = field(default_factory=list)
    retrainings: list[dict[str, Any]] = field(default_factory=list)

    def play(self, day: pd.Timestamp) -> set[str]:
        """One day, and what the alerts say at its end."""
        began = time.monotonic()
        self.days.play(day, self.url, KEY)
        time.sleep(max(0.0, began + PACE - time.monotonic()))
        figures = self.watcher.caught_up(self.version, self.days.told)
        firing = self.watcher.alerts(figures)
        self.notes.append(
            {
                "day": str(day.date()),
                "at": time.monotonic(),
                "version": self.version,
                **figures._asdict(),
                "alerts": sorted(firing),
            }
        )
        return firing

    def retrain(self, day: pd.Timestamp) -> bool:
        """Retrain as on the morning of `day`, with the service answering meanwhile."""
        began, asked = time.monotonic(), 0
        command = [sys.executable, "src/retrain.py", "--until", str(day.date())]
        with running(command, self.environment, self.home / "retraining.log") as process:
            while process.poll() is None:
                # It raises if it isn't answered. No /predict: one question again and again would be
                # drift.
                ask(f"{self.url}/explain", QUESTION, KEY)
                asked += 1
                time.sleep(0.2)
        if process.returncode:
            said = (self.home / "retraining.log").read_text("utf-8")
            raise DrillError(f"Retraining failed:\n{said}")
        verdict = json.loads((self.home / "reports" / "retraining.json").read_text("utf-8"))
        promoted = verdict["decision"]["promoted"]
        self.retrainings.append(
            {
                "day": str(day.date()),
                "verdict": verdict,
                "promoted": promoted,
                "answered_meanwhile": asked,
                "seconds": round(time.monotonic() - began, 1),
            }
        )
        took = time.monotonic() - began
        self.say(
            f"{day.date()}  retrained in {took:.0f} s, {asked} answers meanwhile, none failed:"
        )
        self.say(indented(self.home / "reports" / "retraining.md"))
        if promoted:
            self.adopt(verdict["candidate"]["version"])
        return promoted

    def adopt(self, version: str) -> None:
        """Wait until the running service answers with `version`."""
        began = time.monotonic()
        while ask(f"{self.url}/model-info", None, KEY)["version"] != version:
            if time.monotonic() - began > 30:
                raise DrillError(f"The service hasn't taken {version} within 30 seconds.")
            time.sleep(0.05)
        self.version = version
        self.retrainings[-1]["adopted_after"] = round(time.monotonic() - began, 2)
        self.say(f"            the running service answers with {version}")


QUESTION = {
    "route": "JFK-LAX", "airline": "AA", "departure_time": SHIFT.isoformat(),
    "aircraft_type": "A321",
}  # fmt: skip


def indented(report: Path) -> str:
    """The paragraph of the retraining's report."""
    return f"            {report.read_text('utf-8').split(chr(10) * 2)[1]}"


@contextmanager
def running(
    command: list[str], environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that doesn't outlive the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=paths.PROJECT, env=environment, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def make_world(home: Path, flights: int) -> dict[str, str]:
    """Simulate the flights of the drill into `home`; the environment in which it runs."""
    shutil.rmtree(home, ignore_errors=True)
    chosen = params.load(flights=flights)
    for section, values in SMALLER.items():
        chosen[section] |= values
    home.mkdir(parents=True)
    file = home / "params.yaml"
    file.write_text(json.dumps(chosen), encoding="utf-8")  # JSON is YAML
    shift = shift_from(SHIFT.date(), KIND)
    simulate.write(home / "data" / "raw", flights, chosen["seed"], chosen["split"], shift)
    return {
        **os.environ, "FLIGHTS_HOME": str(home), "FLIGHTS_PARAMS": str(file),
        "MODEL_PATH": str(home / "models"), "FLIGHTS_KEY_PREFIX": f"drill_{uuid.uuid4().hex[:10]}",
        "REDIS_URL": redis_url(), "FLIGHTS_API_KEYS": f"drill={KEY}",
        "FLIGHTS_REQUESTS_PER_MINUTE": "1000000000", "FLIGHTS_REDIS_SECONDS": "5",
        "LOG_LEVEL": "warning", "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
    }  # fmt: skip


def first_champion(environment: dict[str, str], home: Path) -> None:
    """Train v1 on what was known when the drill begins."""
    log = home / "retraining.log"
    command = [sys.executable, "src/retrain.py", "--until", str(FIRST.date())]
    with running(command, environment, log) as process:
        if process.wait():
            raise DrillError(f"The first champion can't be trained:\n{log.read_text('utf-8')}")


def tables(home: Path) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """The raw tables and the feature views of the drill's days."""
    raw = {
        name: pd.read_parquet(home / "data" / "raw" / f"{name}.parquet")
        for name in feature_eng.RAW_TABLES
    }
    views = feature_eng.views_of(raw, params.load(home / "params.yaml"))
    return raw, {
        name: view[view["event_timestamp"].between(FIRST, LAST)] for name, view in views.items()
    }


def until_recovered(drill: Drill) -> None:
    """Day after day: until the alert has fired, a better version answers, and calm has lasted."""
    promoted, firing = None, set()
    for day in pd.date_range(FIRST, LAST, freq="D", inclusive="left"):
        # Drift alone is no reason: with a few new days a candidate learns half of what has changed.
        if ACCURACY_ALERT in firing and day > SHIFT and day.weekday() == 0 and drill.retrain(day):
            promoted = day
        before, firing = firing, drill.play(day)
        tell(drill, day, before, firing)
        calm = promoted is not None and day >= promoted + CALM_DAYS * DAY
        if calm and ACCURACY_ALERT not in firing:
            return
    raise DrillError(f"No recovery by {LAST.date()}: the last days stand in reports/drill.json.")


def tell(drill: Drill, day: pd.Timestamp, before: set[str], firing: set[str]) -> None:
    """Say what began and what ended on a day."""
    if day == SHIFT:
        drill.say(f"{day.date()}  dust storms begin")
    note = drill.notes[-1]
    known = (
        f"accuracy {note['accuracy']:.2f}" if note["accuracy"] is not None else "no accuracy yet"
    )
    for name in sorted(firing - before):
        drill.say(f"{day.date()}  {name} fires, {known}")
    for name in sorted(before - firing):
        drill.say(f"{day.date()}  {name} has cleared, {known}")


def drill(home: Path, flights: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it all; the report.

    Raises:
        DrillError: a part is missing, or the drill doesn't end as it should.
    """
    start = time.monotonic()
    client = redis.Redis.from_url(redis_url())
    client.ping()
    if not SERVING.exists():
        raise DrillError(
            "The serving environment is missing. In the course's folder: python3 learn.py "
            "environment advanced_examples/flight_delays/environments/serving"
        )
    say(f"Simulating {flights:,} flights, training the champion of {FIRST.date()} ...")
    environment = make_world(home, flights)
    first_champion(environment, home)
    prefix = environment["FLIGHTS_KEY_PREFIX"]
    try:
        with ExitStack() as ends:
            made = begin(ends, home, environment, client, say)
            until_recovered(made)
            report = page.report(made.notes, made.retrainings, str(SHIFT.date()))
            report |= {"flights": flights, "prometheus": made.watcher.prometheus is not None}
            report["counterfactual"] = page.counterfactual(
                client, prefix, registry_bundle(home), report
            )
    finally:
        packed.remove(client, prefix)
    report["seconds"]["all"] = round(time.monotonic() - start, 1)
    return report


def registry_bundle(home: Path) -> Path:
    """The folder of the first champion."""
    return home / "models" / "v1"


def begin(
    ends: ExitStack,
    home: Path,
    environment: dict[str, str],
    client: redis.Redis,
    say: Callable[[str], None],
) -> Drill:
    """Start the service, the exporter and Prometheus; they end with `ends`."""
    days = Days(*tables(home), client, environment["FLIGHTS_KEY_PREFIX"])
    api = ends.enter_context(service(environment, python=str(SERVING)))
    command = ["-m", "src.monitoring.exporter", "--port", "0", "--every", "0.3"]
    exporter = ends.enter_context(
        service(environment, [*command, "--window", str(WINDOW)], str(SERVING))
    )
    watch = ends.enter_context(prometheus(home / "prometheus", api.url, exporter.url))
    if watch is None:
        say("No `prometheus` here: alerts go by the exporter's figures and the same limits.")
    return Drill(home, environment, api.url, Watcher(exporter.url, watch), days, say)


def main(argv: list[str] | None = None) -> int:
    """Run the drill and write its page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flights", type=int, default=FLIGHTS, help=f"(default: {FLIGHTS:,})")
    wanted = parser.parse_args(argv)
    home = paths.home() / "drill"
    try:
        report = drill(home, wanted.flights, lambda text: print(text, flush=True))
    except DrillError as error:
        print(error, file=sys.stderr)
        return error.code
    except (redis.ConnectionError, redis.TimeoutError) as error:
        print(f"Redis at REDIS_URL can't be used: {error}", file=sys.stderr)
        return UNAVAILABLE
    except (params.ParamsError, registry.RegistryError, RuntimeError, OSError) as error:
        print(f"The drill can't go on: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    page.write(report, paths.reports(), LEAST_ACCURACY)
    print(page.summary(report))
    print(f"\nLook at {paths.shown(paths.reports() / 'drill.html')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
