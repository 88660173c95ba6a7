"""Flight delays: from raw data to a running service.

How late will this flight be? You go the whole way that a team goes: make data, refuse bad data,
build features that know nothing of the future, train, judge, put features online and answer over
HTTP. All of it happens on this machine, with the project's own two environments. The first run
sets them up (2.3 GB, half a minute to ten minutes, as your network is); the walk itself takes
about ten minutes with 200,000 flights, and two to five with --fast, which takes 20,000.

Everything lands in output/flights (with --fast in output/flights_fast), where you can look at it.
A second walk is quick: what hasn't changed is not done again, and that is one of its subjects.

Run      python3 learn.py run flights
Needs    Redis
Minutes  120
Next     README.md
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from course import connect, settings
from course.errors import CourseError
from course.lesson import Lesson, run
from course.workbench import Workbench
from course.workspace import own_turn

PROJECT = Path(__file__).resolve().parent
CODE = (".dvc/config", ".dvcignore", "dvc.yaml", "params.yaml", "src", "features", "feature_repo")
BIN = "Scripts" if os.name == "nt" else "bin"
# How one process asks another to end: Windows knows it between groups of processes only.
PLEASE_END = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM)
NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
TRAINING = PROJECT / "environments" / "training"
SERVING = PROJECT / "environments" / "serving"
FAST_FLIGHTS = 20_000
LISTENS = "The flight delay service listens on "
KEY = {"X-API-Key": "demo-key", "Content-Type": "application/json"}
NOBODY = "redis://127.0.0.1:9/0"  # a port where no Redis is
FLIGHT = {
    "route": "JFK-LAX", "airline": "AA", "departure_time": "2025-01-01T00:30:00Z",
    "aircraft_type": "A321", "weather_condition": "snow",
}  # fmt: skip


def workbench(home: Path, redis_url: str, flights: int | None) -> Workbench:
    """A copy of the project in `home`, as it stands today, with another number of flights."""
    made = Workbench(home, TRAINING / ".venv", {
        "FLIGHTS_HOME": str(home), "FLIGHTS_PARAMS": str(home / "params.yaml"),
        "PYTHONPATH": str(home), "REDIS_URL": redis_url,
    })  # fmt: skip
    made.copy(PROJECT, CODE)
    if flights:
        made.change("params.yaml", r"(?m)^flights: \d+", f"flights: {flights}")
    return made


def stages(said: str) -> list[str]:
    """The stages that DVC ran."""
    return re.findall(r"^Running stage '(\w+)'", said, re.MULTILINE)


def two_environments(lesson: Lesson) -> None:
    """Two environments, and why not one.

    Training needs Feast, MLflow, torch, DVC: gigabytes. A server that only answers needs a fifth
    of that, starts faster, and has fewer packages that can have a hole. Both are locked: the file
    with exact versions stands beside the code. What both need in common, the features, is the
    project's own code, installed in both.
    """
    front_door = settings.ROOT / "learn.py"
    command = [sys.executable, str(front_door), "environment", str(TRAINING), str(SERVING)]
    if subprocess.run(command, check=False).returncode:
        raise CourseError("The environments can't be made: the lines above say why.")
    modules = ("torch", "mlflow", "feast", "xgboost", "onnxruntime", "features.vector")
    rows = []
    for module in modules:
        found = [has(folder, module) for folder in (TRAINING, SERVING)]
        rows.append((module, *("yes" if one else "no" for one in found)))
    lesson.table(rows, ("module", "training", "serving"), "What can be imported where")
    lesson.check(
        "serving has the models' formats and the features, but no torch, MLflow or Feast",
        [row[2] for row in rows] == ["no", "no", "no", "yes", "yes", "yes"],
    )


def has(folder: Path, module: str) -> bool:
    """Whether the environment in `folder` can find `module`."""
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return (
        subprocess.run([folder / ".venv" / BIN / "python", "-c", code], check=False).returncode == 0
    )


def raw_data(lesson: Lesson, bench: Workbench) -> None:
    """Raw data, and the best that anybody could predict.

    The flights are simulated: routes, schedules, weather, and delays that travel along an
    aircraft's day. Real on-time files load too (src/load.py), but of a simulation we know the
    noise. So we know how good the best prediction can be, and can tell a model that has learnt
    all there is from one that hasn't. No model ever sees that figure.

    What the simulation assumes: when a flight is due to leave, its aircraft's inbound leg has
    taken off, and its expected time of arrival is known. That is the strongest input.
    """
    bench.must("dvc", "repro", "preprocess")
    noise, cleaned = bench.json("data/raw/noise.json"), bench.json("data/processed/cleaning.json")
    rows = [
        (name, part["flights"], part["oracle"]["mae"], part["oracle"]["r2"],
         part["mean_baseline"]["mae"], cleaned["splits"][name]["first"][:10])
        for name, part in noise["splits"].items()
    ]  # fmt: skip
    lesson.table(rows, ("split", "flights", "best MAE", "best R2", "mean's MAE", "from"),
                 "What is reachable, minutes")  # fmt: skip
    test = noise["splits"]["test"]
    r2, mae, mean = test["oracle"]["r2"], test["oracle"]["mae"], test["mean_baseline"]["mae"]
    lesson.check(
        "the best prediction explains at least 80 % of the variance", r2 >= 0.8, f"{r2:.3f}"
    )
    lesson.check("guessing the mean is at least 1.8 times worse", mean >= 1.8 * mae,
                 f"{mean:.2f} to {mae:.2f} minutes")  # fmt: skip
    parts = cleaned["splits"]
    lesson.check(
        "train, validation and test follow one another in time and share no day",
        parts["train"]["last"][:10] < parts["validation"]["first"][:10]
        and parts["validation"]["last"][:10] < parts["test"]["first"][:10],
    )


def look(lesson: Lesson, bench: Workbench) -> None:
    """Look before you model.

    Only at the train split: who lets the test split guide the choice of features has used it.
    """
    said = bench.must("src/eda.py", "--show-stats")
    text, _, _ = said.partition("\nBy time_of_day")
    lesson.console.say(text)
    charts = sorted((bench.home / "reports" / "plots").glob("*.png"))
    place = f"output/{bench.home.name}/reports/plots"
    lesson.check("there are eight charts to look at", len(charts) == 8, place)


def bad_data(lesson: Lesson, bench: Workbench) -> None:
    """Bad data stop the pipeline.

    The rules are a pandera schema. A broken rule ends the pipeline with a report that names the
    column, the rule, how many rows and the first of them: whoever gets it at night needs no
    debugger. Here somebody delivers seconds for minutes, in a copy of the data.
    """
    bench.must("dvc", "repro", "validate")
    lesson.check("our data pass", bench.json("reports/validation.json")["passed"])
    spoilt = bench.home / "spoilt"
    shutil.rmtree(spoilt, ignore_errors=True)
    shutil.copytree(bench.home / "data", spoilt / "data", ignore=shutil.ignore_patterns("views"))
    file = spoilt / "data/processed/flights.parquet"
    flights = pd.read_parquet(file)
    flights.loc[flights.index[::500], "turnaround_minutes"] *= 60
    flights.to_parquet(file, index=False)
    done = bench.run("src/validate.py", FLIGHTS_HOME=str(spoilt))
    lesson.console.say(done.stdout.split("ok     weather")[0].rstrip())
    lesson.check(
        "the spoilt copy is refused, with the column, the rule and the number of rows",
        done.returncode == 1
        and re.search(r"turnaround_minutes must hold: is between 0 and 720 minutes: [\d,]+ rows",
                      done.stdout),
    )  # fmt: skip
    shutil.rmtree(spoilt)


def features(lesson: Lesson, bench: Workbench) -> None:
    """Features as of each departure.

    A feature is a value at a time. For each flight the training set holds what was known when it
    was due to leave, not what is known today: a join "as of". DuckDB does it for all flights at
    once; Feast would give the same rows far slower (a test compares them). To be sure, we join
    one view once more with another tool, pandas, and compare.
    """
    bench.must("dvc", "repro", "features")
    table = pd.read_parquet(bench.home / "data/processed/features.parquet")
    view = pd.read_parquet(bench.home / "data/processed/views/route.parquet")
    columns = ["avg_delay_7d", "std_delay_7d", "on_time_percentage_7d", "volume_7d"]
    again = pd.merge_asof(
        table[["flight_id", "route", "event_timestamp"]].sort_values("event_timestamp"),
        view[["route", "event_timestamp", *columns]].sort_values("event_timestamp"),
        on="event_timestamp", by="route", tolerance=pd.Timedelta(days=2),
    )  # fmt: skip
    both = table[["flight_id", *columns]].merge(again, on="flight_id", suffixes=("", "_again"))
    same = all(both[name].equals(both[f"{name}_again"]) for name in columns)
    lesson.check("another tool joins the same route features", same, f"{len(both):,} flights")
    lesson.check("no flight was lost or doubled by the joins",
                 table["flight_id"].is_unique and len(both) == len(table))  # fmt: skip


def models(lesson: Lesson, bench: Workbench) -> None:
    """Train, and judge against the best reachable.

    A mean, XGBoost, a network, and both together with weights tuned on validation. The test
    flights come later in time than all of that. "Above the best" is how far the error lies above
    what nobody can beat: the only honest scale. The figures once claimed for this project (MAE
    12.3, 11.8, 11.5) belong to other data; reports/comparison.md shows them beside ours as such.
    """
    bench.must("dvc", "repro")
    judged, trained = bench.json("metrics/evaluation.json"), bench.json("metrics/train.json")
    lesson.table(
        [(name, row["mae"], row["rmse"], row["r2"], f"{row['over_best']:+.1%}")
         for name, row in judged["models"].items()],
        ("model", "MAE", "RMSE", "R2", "above the best"), "Test flights, minutes", measured=True,
    )  # fmt: skip
    held = {name: row["mae"] for name, row in trained["metrics"]["validation"].items()}
    lesson.check("on validation the ensemble is at least as good as each of its parts",
                 held["ensemble"] <= min(held["xgboost"], held["network"]) + 1e-3)  # fmt: skip
    test = {name: row["mae"] for name, row in judged["models"].items()}
    lesson.check("the ensemble beats the mean by a third at least",
                 test["ensemble"] < test["baseline"] * 2 / 3)  # fmt: skip
    if lesson.fast:
        lesson.console.say("  With 20,000 flights the models are still hungry: the full walk is "
                           "within 10 % of the best.", "dim")  # fmt: skip
    else:
        over = judged["models"]["ensemble"]["over_best"]
        lesson.check(
            "the ensemble is within 10 % of the best reachable", over <= 0.10, f"{over:+.1%}"
        )
    sure = judged["interval"]
    lesson.check("the 80 % interval holds 70 to 90 % of the test flights",
                 0.7 <= sure["coverage"] <= 0.9)  # fmt: skip


def only_what_changed(lesson: Lesson, bench: Workbench) -> None:
    """Again, and only what has changed.

    DVC keeps a fingerprint of everything a stage read and wrote. Run it again: nothing to do.
    Change one parameter, and only the stages that depend on it run; when their result is the same
    as before, what comes after them doesn't run either.
    """
    first = bench.must("dvc", "repro")
    lesson.check("a second run does nothing", stages(first) == [])
    before = (bench.home / "params.yaml").read_text("utf-8")
    bench.change("params.yaml", "max_delay_minutes: 1440", "max_delay_minutes: 1439")
    ran = stages(bench.must("dvc", "repro"))
    (bench.home / "params.yaml").write_text(before, encoding="utf-8")
    bench.must("dvc", "repro")
    names = ", ".join(ran) or "none: their results were still known"
    lesson.console.say(f"  max_delay_minutes 1440 -> 1439, stages that ran: {names}")
    lesson.check("no flight was that late, so nothing after validation ran",
                 set(ran) <= {"preprocess", "validate"})  # fmt: skip


def online(lesson: Lesson, bench: Workbench) -> None:
    """Features go online.

    The service can't run a join over history for each request. So the newest values go to Redis,
    every hour in production: into Feast's store, and packed beside it, as one short value per
    route, airline, airport and aircraft. One MGET then reads all that a flight needs. An
    aircraft's row holds for hours only: it comes by the stream (src/stream.py) when it takes off.
    """
    said = bench.must("src/materialize.py")
    lesson.console.say(said.split("done in")[0].rstrip())
    rows = dict(re.findall(r"(\w+) +([\d,]+) entities", said))
    lesson.check("routes, airlines and airports have their rows online",
                 all(rows[view] != "0" for view in ("route", "airline", "weather")))  # fmt: skip


def answers(lesson: Lesson, bench: Workbench) -> None:
    """The service answers.

    It runs in the serving environment, from files: two models and their weights. It asks Redis
    for the features and says what it could not find. It refuses what can't be, with a reason.
    """
    with service(bench) as (url, process):
        status, ready = ask(f"{url}/ready")
        lesson.check("it is ready: model loaded, feature store up", status == 200, str(ready))
        status, told = ask(f"{url}/predict", FLIGHT)
        lesson.table([(name, str(value)) for name, value in told.items()], ("field", "answer"),
                     "POST /predict", measured=True)  # fmt: skip
        lesson.check("it predicts minutes, an interval around them and a confidence",
                     status == 200 and told["low_minutes"] <= told["delay_minutes"]
                     <= told["high_minutes"] and 0 <= told["confidence"] <= 1)  # fmt: skip
        late = ask(
            f"{url}/predict", FLIGHT | {"inbound_delay_minutes": 150, "turnaround_minutes": 45}
        )
        lesson.check("an aircraft that comes in 150 minutes late makes it later by an hour or more",
                     late[1]["delay_minutes"] > told["delay_minutes"] + 60)  # fmt: skip
        status, why = ask(f"{url}/explain", FLIGHT)
        lesson.table([(part["group"], part["minutes"]) for part in why["parts"][:6]],
                     ("because of", "minutes"), "POST /explain", measured=True)  # fmt: skip
        refused = {
            "an airport that isn't there": (FLIGHT | {"route": "JFK-XXX"}, KEY, 400),
            "a time that is none": (FLIGHT | {"departure_time": "soon"}, KEY, 422),
            "no key": (FLIGHT, {}, 401),
        }
        rows = []
        for what, (body, headers, expected) in refused.items():
            status, problem = ask(f"{url}/predict", body, headers)
            rows.append((what, status, problem["reason"]))
            lesson.check(f"{what} is refused with {expected}", status == expected)
        lesson.table(rows, ("sent", "status", "reason"), "What it refuses")
        process.send_signal(PLEASE_END)
        lesson.check("asked to end, it ends in order", process.wait(40) == 0)


def without_redis(lesson: Lesson, bench: Workbench) -> None:
    """The feature store goes away.

    A prediction from usual values is worth more than none, if the answer says so. So the service
    goes on, names what was missing and widens its interval.
    """
    with service(bench, REDIS_URL=NOBODY) as (url, _):
        status, told = ask(f"{url}/predict", FLIGHT)
        lesson.console.say("  " + "\n  ".join(told["degraded"]))
        lesson.check("it still answers", status == 200)
        lesson.check("and says what it did without", told["degraded"] != [])


@contextmanager
def service(bench: Workbench, **more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The service in the serving environment, from when it listens: its address and process."""
    process = subprocess.Popen(
        [SERVING / ".venv" / BIN / "python", "-m", "src.api", "--port", "0"], cwd=bench.home,
        env=bench.environment | more, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, encoding="utf-8", start_new_session=True,
        creationflags=NEW_GROUP,
    )  # fmt: skip
    try:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith(LISTENS):
                break
        else:
            raise CourseError(f"The service did not start:\n\n{''.join(said[-15:])}")
        yield line.removeprefix(LISTENS).split()[0], process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def ask(
    url: str, body: dict[str, Any] | None = None, headers: dict[str, str] = KEY
) -> tuple[int, Any]:
    """GET, or POST with a body: the status and the answer, also of a refusal."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def go_on(lesson: Lesson, bench: Workbench) -> None:
    """When to do it so, and when not.

    Not for ten thousand rows and a report once a month: a notebook and a linear model are done in
    an afternoon. A feature store pays when several models share features, or when features must
    be fresh within minutes; a pipeline tool pays from the second person on.

    A thousand times the flights (200 million): the parquet files become a table by day in object
    storage, the ASOF join runs a month at a time, XGBoost learns from a sample or on several
    machines, Redis hardly grows (it holds one row per entity, not per flight), and the service
    runs in several copies behind a balancer.
    """
    lesson.console.say(f"  Look: output/{bench.home.name}/reports/comparison.md and model_card.md")
    lesson.console.say("  Run each part by hand, and see the page: README.md beside this script")


def main(lesson: Lesson) -> None:
    """The walk, from nothing to an answer."""
    (redis,) = connect.prepare(["redis"])
    home = settings.OUTPUT_DIR / ("flights_fast" if lesson.fast else "flights")
    with own_turn("flights"):
        lesson.step(two_environments, lesson)
        bench = workbench(home, redis.url, FAST_FLIGHTS if lesson.fast else None)
        for part in (raw_data, look, bad_data, features, models, only_what_changed,
                     online, answers, without_redis, go_on):  # fmt: skip
            lesson.step(part, lesson, bench)


if __name__ == "__main__":
    run(main)
