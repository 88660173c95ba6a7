"""Flight delays, live: watched, retrained, rolled out.

The service of the first walk answers. Now the weather changes, and nobody tells the model. You see
the alert, the retraining, the gate that a new version must pass, a canary with a broken version and
one with a good one, and a process that is killed while it answers. Everything is real: processes,
Redis, and Prometheus with the project's alert rules where `prometheus` is installed.

The walk needs nothing of the first one. Everything lands in output/flights_live (with --fast in
output/flights_live_fast): look at reports/drill.html there.

Run      python3 learn.py run flights/02
Needs    Redis
Minutes  90
Next     README.md
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from course import connect, settings
from course.errors import CourseError
from course.lesson import Lesson, run
from course.workbench import Workbench
from course.workspace import own_turn

PROJECT = Path(__file__).resolve().parent
TRAINING = PROJECT / "environments" / "training"
SERVING = PROJECT / "environments" / "serving"
BIN = "Scripts" if os.name == "nt" else "bin"
FLIGHTS, FAST_FLIGHTS = 40_000, 20_000
CONNECTIONS = 4  # so many requests are under way at any moment
LISTENS = re.compile(r"listens on (http://\S+)")
KEY, PREFIX = "key-of-the-walk", "flights_live"
GIVEN = {
    "FLIGHTS_API_KEYS": f"walk={KEY}", "FLIGHTS_REQUESTS_PER_MINUTE": "1000000000",
    "FLIGHTS_KEY_PREFIX": PREFIX, "LOG_LEVEL": "warning",
}  # fmt: skip


def workbench(home: Path, redis_url: str) -> Workbench:
    """The project's own folder, whose commands read and write in `home`."""
    return Workbench(PROJECT, TRAINING / ".venv", {
        "FLIGHTS_HOME": str(home), "REDIS_URL": redis_url, **GIVEN,
    })  # fmt: skip


def two_environments(lesson: Lesson) -> None:
    """The environments of training and serving.

    The same two as in the first walk: made if they are missing, else used as they are.
    """
    command = [sys.executable, str(settings.ROOT / "learn.py"), "environment"]
    if subprocess.run([*command, str(TRAINING), str(SERVING)], check=False).returncode:
        raise CourseError("The environments can't be made: the lines above say why.")
    lesson.check("both are there", all((e / ".venv").exists() for e in (TRAINING, SERVING)))


def what_is_watched(lesson: Lesson) -> None:
    """What is watched, and what makes somebody get up.

    Three kinds of figures. Of the program: errors, latency, age of the features; known at once. Of
    the inputs: have they moved away from what the model learnt from (drift)? Known at once too,
    but no proof of harm. Of the answers: were they right? That is what counts, and it is known
    only hours later, when the flights have landed. An alert is worth its noise only if somebody
    can do something: each has a page that says what (docs/RUNBOOKS.md).
    """
    text = (PROJECT / "monitoring" / "alerts.yml").read_text(encoding="utf-8")
    found = re.findall(r"- alert: (\w+)(.*?)severity: (\w+)", text, re.DOTALL)
    lesson.table([(name, severity) for name, _, severity in found], ("alert", "severity"),
                 "monitoring/alerts.yml")  # fmt: skip
    names = {name for name, _, _ in found}
    lesson.check("accuracy and drift have alerts",
                 {"FlightAccuracyLow", "FlightDriftCritical"} <= names)  # fmt: skip
    lesson.check("each alert names its page", text.count("runbook_url:") == len(found))


def the_drill(lesson: Lesson, bench: Workbench, home: Path) -> dict[str, Any]:
    """The weather shifts: the drill.

    Dust storms begin. One sees as little as in rain, but hardly anybody is late: what the model
    learnt about poor view is wrong from that day on. The service goes on answering, with wrong
    figures and no error. Watch the alert, the retraining on a Monday, and the gate: the new
    version is judged on the newest days, which neither version has learnt from.
    """
    flights = FAST_FLIGHTS if lesson.fast else FLIGHTS
    said = bench.must("src/drill.py", "--flights", str(flights))
    (home / "drill.log").write_text(said, encoding="utf-8")
    report = json.loads((home / "reports" / "drill.json").read_text(encoding="utf-8"))
    stages = report["stages"]
    lesson.table([(name, one["version"], one["accuracy"], one["mae"])
                  for name, one in stages.items()],
                 ("", "version", "accuracy", "MAE"), "The drill", measured=True)  # fmt: skip
    before, worst, after = (stages[name]["accuracy"] for name in stages)
    lesson.check("the shift costs 8 points of accuracy or more", worst < before - 0.08)
    lesson.check("the retrained version brings most of it back",
                 after - worst > (before - worst) / 2)  # fmt: skip
    lesson.check("it isn't the weather: the old version would still be wrong",
                 report["counterfactual"]["old"]["accuracy"] + 0.05
                 < report["counterfactual"]["new"]["accuracy"])  # fmt: skip
    answered = sum(one["answered_meanwhile"] for one in report["retrainings"])
    lesson.check("the service answered while it was retrained, and was not restarted", answered > 0)
    lesson.console.say(f"  Look: output/{home.name}/reports/drill.html")
    return report


def the_old_one_is_kept(lesson: Lesson, bench: Workbench, home: Path) -> None:
    """The way back.

    A promotion moves a name: `champion` from one version to the next, and `previous` to the one
    before. So does a rollback, in seconds, without any training.
    """
    drilled = {"FLIGHTS_HOME": str(home / "drill")}
    champion = home / "drill" / "models" / "champion"
    promoted = champion.read_text(encoding="utf-8").strip()
    bench.must("src/registry.py", "rollback", **drilled)
    back = champion.read_text(encoding="utf-8").strip()
    lesson.check("a rollback lets the old version answer", back != promoted, back)
    bench.must("src/registry.py", "promote", promoted, **drilled)
    lesson.check("and a promotion the new one again",
                 champion.read_text(encoding="utf-8").strip() == promoted)  # fmt: skip


def a_b(lesson: Lesson, bench: Workbench, home: Path, report: dict[str, Any]) -> None:
    """Is it better? How sure is that?

    Two versions, the same flights, the difference flight by flight. One figure each would hide
    how much of the difference is chance. The answer has an interval, and says how many flights it
    takes to see a difference that matters.
    """
    drilled = {
        "FLIGHTS_HOME": str(home / "drill"),
        "FLIGHTS_PARAMS": str(home / "drill/params.yaml"),
    }
    for stage in ("src/preprocess.py", "src/feature_eng.py"):
        bench.must(stage, **drilled)
    new = next(one for one in report["retrainings"] if one["promoted"])
    said = bench.must("python", "-m", "src.rollout.ab", "v1",
                      new["verdict"]["candidate"]["version"], **drilled)  # fmt: skip
    (home / "ab.log").write_text(said, encoding="utf-8")
    lesson.check("the retrained version is better, and the interval of the difference says so",
                 "is better" in said and "95 % sure" in said)  # fmt: skip


def canary(lesson: Lesson, bench: Workbench, home: Path, candidate: tuple[str, ...]) -> int:
    """A canary between the old version and `candidate`, under traffic; its exit code."""
    old, new = (models(home, name) for name in ("stable", "candidate"))
    window = "10" if lesson.fast else "20"
    with ExitStack() as ends:
        stable = ends.enter_context(listening(bench, *API, MODEL_PATH=str(old)))[0]
        other = ends.enter_context(listening(bench, *candidate, MODEL_PATH=str(new)))[0]
        router = ends.enter_context(
            listening(bench, *ROUTER, "--stable", stable, "--candidate", other)
        )[0]
        if candidate != API:
            put(f"{other}/fault", {"errors": 0.4})
        with traffic(bench, router, "--rps", "150") as load:
            done = run_serving(bench, "-m", "src.rollout.canary", "--router", router, "--window",
                               window, "--without-accuracy", "--report",
                               str(home / "reports" / "rollout.json"))  # fmt: skip
        (home / "canary.log").write_text(done.stdout, encoding="utf-8")
        lesson.check("no request of the traffic was lost", load["bad"] == 0,
                     f"{load['answers']:,} answers")  # fmt: skip
    return done.returncode


API = ("-m", "src.api", "--port", "0")
FAULTY = ("tests/faulty_service.py", "--port", "0")
ROUTER = ("-m", "src.rollout.router", "--port", "0", "--check", "0.2")


def a_broken_version(lesson: Lesson, bench: Workbench, home: Path) -> None:
    """A canary with a broken version.

    Better on past flights is not yet good in service. So a new version gets 10 % of the traffic
    first. This one fails on 4 requests of 10. The router asks the old version instead, so that no
    caller notices, and the canary takes the new one off the air.
    """
    code = canary(lesson, bench, home, FAULTY)
    report = json.loads((home / "reports" / "rollout.json").read_text(encoding="utf-8"))
    lesson.check("it is rolled back", code == 1)
    shares = re.findall(r'"share": ([\d.]+)', json.dumps(report))
    lesson.check("it never got more than 10 % of the traffic", max(map(float, shares)) <= 0.1)


def a_good_version(lesson: Lesson, bench: Workbench, home: Path) -> None:
    """A canary with a good version.

    10 %, 50 %, 100 %. Ten minutes each in production, seconds here. Whether it is right about its
    flights is not judged here: they land hours later, and the drill has judged that.
    """
    lesson.check("it reaches all of the traffic", canary(lesson, bench, home, API) == 0)


def killed(lesson: Lesson, bench: Workbench, home: Path) -> None:
    """kill -9 behind two workers.

    Two processes of the same version behind the router, and one is killed without warning. What
    was under way in it, at most, may fail. The router asks the other one instead.
    """
    path = str(models(home, "stable"))
    with ExitStack() as ends:
        first, process = ends.enter_context(listening(bench, *API, MODEL_PATH=path))
        second, _ = ends.enter_context(listening(bench, *API, MODEL_PATH=path))
        router, _ = ends.enter_context(
            listening(bench, *ROUTER, "--stable", first, "--stable", second)
        )
        with traffic(bench, router, "--connections", str(CONNECTIONS)) as load:
            time.sleep(1)  # traffic before
            process.kill()
            process.wait()
            time.sleep(1)  # and after
    lesson.check("no more requests failed than were under way", load["bad"] <= CONNECTIONS,
                 f"{load['bad']} of {load['answers']:,}")  # fmt: skip


def when_not(lesson: Lesson) -> None:
    """When to do it so, and when not.

    A model that is asked once a week needs no canary and no dashboard: look at last week's figures
    before you send this week's. Retraining by itself is right where truth arrives soon and a gate
    judges it. Where truth takes months, or people are harmed by a wrong answer, a person decides.
    And retraining heals only what newer data can teach: a broken sensor wants mending, not
    learning.

    A thousand times the flights: the streams become Kafka topics or tables, drift is computed on a
    sample, accuracy by region and hour, and the canary's steps take hours, so that truth arrives.
    """
    lesson.console.say("  By hand: docs/RETRAINING.md, docs/MONITORING.md, docs/ROLLOUT.md")


def models(home: Path, role: str) -> Path:
    """A folder of models in which v1 (`stable`) or the drill's champion (`candidate`) answers."""
    source, folder = home / "drill" / "models", home / role
    name = "v1" if role == "stable" else (source / "champion").read_text("utf-8").strip()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source / name, folder / name)
    (folder / "champion").write_text(f"{name}\n", encoding="utf-8")
    return folder


def run_serving(bench: Workbench, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python with `command` in the serving environment."""
    return subprocess.run(
        [SERVING / ".venv" / BIN / "python", *command], cwd=PROJECT, env=bench.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", check=False,
    )  # fmt: skip


@contextmanager
def listening(
    bench: Workbench, *command: str, **variables: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A program of the serving environment from when it listens: its address and process."""
    process = subprocess.Popen(
        [SERVING / ".venv" / BIN / "python", *command], cwd=PROJECT, stdin=subprocess.DEVNULL,
        env=bench.environment | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if found := LISTENS.search(line):
                break
        else:
            raise CourseError(f"{command[1]} did not start:\n\n{''.join(said[-15:])}")
        yield found[1], process
    finally:
        process.terminate()
        process.communicate(timeout=60)


@contextmanager
def traffic(bench: Workbench, url: str, *options: str) -> Iterator[dict[str, Any]]:
    """Steady traffic to `url` while the block lasts; what became of it is filled in at the end."""
    result: dict[str, Any] = {}
    with subprocess.Popen(
        [SERVING / ".venv" / BIN / "python", "tests/rollout_load.py", "--url", url, "--key", KEY,
         *options], cwd=PROJECT, env=bench.environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield result
            result.update(json.loads(process.communicate(timeout=60)[0]))
        finally:
            process.kill()


def put(url: str, body: dict[str, float]) -> None:
    """PUT JSON."""
    request = urllib.request.Request(url, json.dumps(body).encode(), method="PUT",
                                     headers={"Content-Type": "application/json"})  # fmt: skip
    urllib.request.urlopen(request, timeout=20).close()


def main(lesson: Lesson) -> None:
    """The second walk, from what is watched to a rollout."""
    (redis,) = connect.prepare(["redis"])
    home = settings.OUTPUT_DIR / ("flights_live_fast" if lesson.fast else "flights_live")
    bench = workbench(home, redis.url)
    with own_turn("flights_live"):
        home.mkdir(parents=True, exist_ok=True)
        try:
            lesson.step(two_environments, lesson)
            lesson.step(what_is_watched, lesson)
            report = lesson.step(the_drill, lesson, bench, home)
            lesson.step(the_old_one_is_kept, lesson, bench, home)
            lesson.step(a_b, lesson, bench, home, report)
            for part in (a_broken_version, a_good_version, killed):
                lesson.step(part, lesson, bench, home)
            lesson.step(when_not, lesson)
        finally:
            with connect.redis() as client:
                for name in client.scan_iter(match=f"{PREFIX}:*", count=500):
                    client.delete(name)


if __name__ == "__main__":
    run(main)
