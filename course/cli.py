"""The verbs of `learn.py`: each a function that takes its arguments and returns an exit code."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from course import settings
from course.console import Console, make_console
from course.errors import (
    INTERRUPTED,
    OK,
    UNAVAILABLE,
    USAGE,
    CourseError,
    ServiceUnavailable,
    UsageError,
)

# with an environment of their own
FLIGHTS = "advanced_examples/flight_delays/environments"
PROJECTS_APART = (
    "sql_examples/dbt",
    "advanced_examples/etl/flow",
    *(f"{FLIGHTS}/{name}" for name in ("training", "serving", "flow", "slides", "checks")),
)
BENCHMARKS = settings.ROOT / "docs" / "BENCHMARKS.md"


def main(arguments: Sequence[str]) -> int:
    """Carry out one verb and return the exit code."""
    console = make_console()
    verb, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if verb not in VERBS:
        console.say(f"There is no verb {verb!r}. The verbs: {', '.join(VERBS)}.")
        return USAGE
    try:
        return VERBS[verb](console, rest)
    except CourseError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader (`| head`) went away, and that is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def parser_for(verb: str, description: str) -> argparse.ArgumentParser:
    """A parser that calls itself what people type."""
    return argparse.ArgumentParser(prog=f"learn.py {verb}", description=description)


def up(console: Console, arguments: list[str]) -> int:
    """Start the services and load the course data."""
    from course import connect, stack

    parser = parser_for("up", "Start the services (all of them unless named) and load the data.")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=", ".join(settings.SERVICES))
    wanted = parser.parse_args(arguments).services or list(settings.SERVICES)
    start = time.perf_counter()
    found = stack.find_all([known_service(name) for name in wanted])
    missing = [answer for answer in found.values() if isinstance(answer, ServiceUnavailable)]
    for answer in found.values():
        if not isinstance(answer, ServiceUnavailable):
            console.say(str(answer))
    if isinstance(found.get("postgres"), stack.Endpoint) and connect.load_course_data():
        console.say("The course data was loaded.")
    for error in missing:
        console.say(str(error), "red")
    console.say(
        f"{len(found) - len(missing)} of {len(found)} up, {time.perf_counter() - start:.2f} s"
    )
    return UNAVAILABLE if missing else OK


def known_service(name: str) -> str:
    """The service called `name`; UsageError lists them when there is none."""
    if name not in settings.SERVICES:
        names = ", ".join(settings.SERVICES)
        raise UsageError(f"There is no service {name!r}. The services: {names}.")
    return name


def down(console: Console, arguments: list[str]) -> int:
    """Stop what was started here."""
    from course import stack

    parser_for("down", "Stop the servers that the course started, and no others.").parse_args(
        arguments
    )
    stopped = [settings.TITLES[service] for service in stack.down()]
    console.say(
        f"Stopped: {', '.join(stopped)}." if stopped else "Nothing of the course was running."
    )
    return OK


def status(console: Console, arguments: list[str]) -> int:
    """Show where each service is, without starting any."""
    from course import stack

    parser_for("status", "Show where each service is, without starting any.").parse_args(arguments)
    for service, endpoint, explanation in stack.status():
        console.say(f"{settings.TITLES[service]:<11} {endpoint or explanation}")
    return OK


def doctor(console: Console, arguments: list[str]) -> int:
    """Say what is wrong here, and how to put it right."""
    from course import doctor

    return doctor.main(arguments)


def list_lessons(console: Console, arguments: list[str]) -> int:
    """Show all lessons in teaching order."""
    from course import manifest

    parser_for("list", "Show all lessons in teaching order.").parse_args(arguments)
    rows = [
        {
            "lesson": entry.id,
            "title": entry.title,
            "needs": ", ".join(entry.services),
            "minutes": entry.minutes,
        }
        for entry in manifest.load()
    ]
    console.table(rows)
    console.say(f"{len(rows)} lessons. Run one with: python3 learn.py run {rows[0]['lesson']}")
    return OK


def run(console: Console, arguments: list[str]) -> int:
    """Run lessons."""
    from course import runner

    return runner.main(console, arguments)


def demo(console: Console, arguments: list[str]) -> int:
    """Show the lessons of a plan on stage."""
    from course import demo

    return demo.main(console, arguments)


def new(console: Console, arguments: list[str]) -> int:
    """Make the parts of a new lesson."""
    from course import author

    return author.main(console, arguments)


def test(console: Console, arguments: list[str]) -> int:
    """Run the test suite."""
    from course import suite

    parser = parser_for(
        "test",
        "Run the whole test suite: first what may run side by side, then the rest alone. "
        "Other arguments, such as a path or -k, go to pytest, which then runs once and in turn.",
    )
    parser.add_argument("--full", action="store_true", help="the full counts of the fault tests")
    parser.add_argument("--strict", action="store_true", help="a skipped test is a failure")
    parser.add_argument("--seed", metavar="N", help="replay the fault that a failure printed")
    parser.add_argument("--renew-transcripts", action="store_true", help="write them anew")
    parser.add_argument("--durations", metavar="N", help="show the N slowest tests")
    parser.add_argument("--without", action="append", default=[], metavar="FOLDER",
                        help="leave a folder of tests out")  # fmt: skip
    parser.add_argument("--junitxml", metavar="FILE", help="write the results for a CI server")
    options, others = parser.parse_known_args(arguments)
    for folder in options.without:
        if not (settings.ROOT / "tests" / folder).is_dir():
            raise UsageError(f"There is no folder tests/{folder} to leave out.")
        console.say(f"Left out: tests/{folder}")
    words = for_pytest(options)
    results = Path(options.junitxml).resolve() if options.junitxml else None
    if others:
        words += [f"--junitxml={results}"] if results else []
        return suite.run_pytest([*others, *words])
    up(console, [])
    return suite.in_two_passes(console, words, results)


def for_pytest(options: argparse.Namespace) -> list[str]:
    """The options of `learn.py test` as tests/conftest.py knows them."""
    words = [f"--ignore=tests/{folder}" for folder in options.without]
    words += ["--full"] if options.full else []
    words += ["--skips-fail"] if options.strict else []
    words += [f"--seed={options.seed}"] if options.seed else []
    words += ["--renew-transcripts"] if options.renew_transcripts else []
    words += [f"--durations={options.durations}"] if options.durations else []
    return words


def reset(console: Console, arguments: list[str]) -> int:
    """Restore the course data."""
    from course import connect, stack

    parser = parser_for("reset", "Restore the shop as it was. Other tables are left alone.")
    parser.add_argument("--all", action="store_true", help="first empty the course's own servers")
    if parser.parse_args(arguments).all:
        for service in filter(stack.reset_data, settings.SERVICES):
            console.say(f"Deleted the data of the course's own {settings.TITLES[service]}.")
    from course.shop.load import reset as reset_shop

    connection = connect.postgres()
    try:
        reset_shop(connection)
    finally:
        connection.close()
    connect.load_course_data()
    console.say("The shop is as it was.")
    return OK


def psql(console: Console, arguments: list[str]) -> int:
    """Talk to the course's database."""
    from course import connect, stack

    connect.prepare(["postgres"])
    return become([str(stack.psql_path()), connect.url("postgres"), *arguments])


def become(command: list[str]) -> int:
    """Turn into an interactive program, to which Ctrl-C then belongs; returns on Windows only."""
    if sys.platform != "win32":
        sys.stdout.flush()
        os.execv(command[0], command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return subprocess.call(command)


def url(console: Console, arguments: list[str]) -> int:
    """Print a service's URL."""
    from course import connect

    parser = parser_for("url", "Print where a service is; start it if need be.")
    parser.add_argument("service", help=", ".join(settings.SERVICES))
    print(connect.url(known_service(parser.parse_args(arguments).service)))
    return OK


def bench(console: Console, arguments: list[str]) -> int:
    """Measure, as ratios."""
    parser = parser_for(
        "bench", "Measure as ratios to a floor or a peer. Other arguments go to pytest."
    )
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON too")
    options, others = parser.parse_known_args(arguments)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "tests/benchmarks",
        *others,
    ]
    command += [f"--bench-json={Path(options.json).resolve()}"] if options.json else []
    command += [] if others else [f"--bench-page={BENCHMARKS}"]
    return subprocess.call(command, cwd=settings.ROOT)


def notebook(console: Console, arguments: list[str]) -> int:
    """Open JupyterLab with the services up."""
    from course import connect

    parser = parser_for("notebook", "Open JupyterLab. Other arguments, as --no-browser, go to it.")
    _, others = parser.parse_known_args(arguments)
    connect.prepare(["postgres"])
    folder = settings.ROOT / "notebooks"
    command = [sys.executable, "-m", "jupyterlab", *others]
    os.chdir(folder if folder.is_dir() else settings.ROOT)
    return become(command)


def prefetch(console: Console, arguments: list[str]) -> int:
    """Get everything that a class without network needs."""
    parser_for("prefetch", "Get everything that a class without network needs.").parse_args(
        arguments
    )
    front_door = str(settings.ROOT / "learn.py")
    apart = [str(settings.ROOT / folder) for folder in PROJECTS_APART]
    subprocess.run([sys.executable, front_door, "environment", *apart], check=True)
    code = up(console, [])
    return code or doctor(console, ["--offline"])


def of_exercises(verb: str) -> Callable[[Console, list[str]], int]:
    """The verb of that name for exercises; what it needs is loaded when it is used."""

    def carry_out(console: Console, arguments: list[str]) -> int:
        from course.exercises import verbs

        return verbs.VERBS[verb](console, arguments)

    return carry_out


EXERCISES = ("check", "watch", "hint", "reset-exercise", "solution", "progress")
VERBS: dict[str, Callable[[Console, list[str]], int]] = {
    "up": up, "down": down, "status": status, "doctor": doctor, "list": list_lessons, "run": run,
    "demo": demo, "new": new, "test": test, "reset": reset, "psql": psql, "url": url,
    "bench": bench, "notebook": notebook, "prefetch": prefetch,
    **{verb: of_exercises(verb) for verb in EXERCISES},
}  # fmt: skip
