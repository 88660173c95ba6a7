"""How a lesson runs and talks: steps, claims, tables, pauses, and exit codes with a meaning.

A lesson is a script with a `main(lesson)`; `run(main)` does the rest. Exit codes: 0 when every
claim holds, 1 after a false claim or an error, 2 for a wrong option, 69 when a service is missing
and 130 after Ctrl-C.
"""

import argparse
import contextlib
import inspect
import io
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from course import manifest, settings, stage
from course.console import CROSS, TICK, Console, Row, make_console
from course.errors import FAILED, INTERRUPTED, OK, USAGE, CourseError
from course.interrupt import undisturbed

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
FAST_FACTOR = 0.1
SHORTEST_DELAY = 0.02


class ExpectedError:
    """What `Lesson.expected_error` caught: `error` is the exception."""

    error: BaseException


class Lesson:
    """The lesson that is running: its voice, its claims and its event loop."""

    def __init__(self, console: Console, options: argparse.Namespace, name: str = "lesson") -> None:
        self.console, self.options, self.name = console, options, name
        self.fast: bool = options.fast
        self.steps = 0
        self.claims: list[tuple[str, bool]] = []
        self._runner: asyncio.Runner | None = None
        self._aloud = sys.stdout
        self._skip_to = options.from_step
        self._chart: Path | None = None

    def step(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `f(*args, **kwargs)` as the next step and return its result.

        The first line of `f`'s docstring is the heading and the rest the explanation. Coroutine
        functions run on the lesson's one event loop.
        """
        self.steps += 1
        if self._skip_to and self.steps == self._skip_to:
            sys.stdout = self._aloud
        heading, _, explanation = (inspect.getdoc(f) or f.__name__).partition("\n")
        self.console.heading(f"{self.steps}  {heading.rstrip('.')}")
        self.console.paragraphs(explanation)
        if explanation:
            self.console.say()
        self._pause(f)
        start = time.perf_counter()
        result = f(*args, **kwargs)
        if inspect.iscoroutine(result):
            with contextlib.closing(result) as coroutine:  # Ctrl-C may come before it is awaited
                result = self._event_loop().run(self._as_main_task(coroutine))
        self.console.say(f"  took {time.perf_counter() - start:.2f} s", "dim")
        return result

    def check(self, claim: str, truth: object, evidence: str = "") -> bool:
        """State a claim and whether it holds; a false one makes the lesson exit 1."""
        holds = bool(truth)
        self.claims.append((claim, holds))
        text = f"{TICK if holds else CROSS} {claim}" + (f"  ({evidence})" if evidence else "")
        self.console.line(text, "green" if holds else "bold red")
        return holds

    def table(
        self,
        rows: Iterable[Row],
        columns: Sequence[str] | None = None,
        title: str = "",
        measured: bool = False,
    ) -> None:
        """Print a table: rows are mappings, or sequences with `columns`.

        `measured` says in the title that its figures differ from run to run.
        """
        note = " (measured: yours will differ)" if measured else ""
        self.console.table(rows, columns, f"{title or 'Measured'}{note}" if measured else title)

    def progress(
        self, items: Iterable[T], total: int | None = None, label: str = ""
    ) -> Iterator[T]:
        """Yield the items and show how far it is; `total` where they can't tell their number."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        return self.console.progress(items, total, label)

    def chart(self, figure: Any, name: str) -> Path:
        """Save a matplotlib figure under `output/`, say where, and return its path."""
        path = settings.OUTPUT_DIR / f"{self.name}_{name}.png"
        remedy = "Make room and make it yours, or put the course into a folder of your own."
        with settings.writing_to(path, remedy):
            settings.OUTPUT_DIR.mkdir(exist_ok=True)
            figure.savefig(path, dpi=120, bbox_inches="tight")
        self._chart = path
        self.console.say(f"  chart saved as {path.relative_to(settings.ROOT).as_posix()}", "dim")
        return path

    @contextlib.contextmanager
    def expected_error(self, *kinds: type[BaseException]) -> Iterator[ExpectedError]:
        """A failure on purpose, shown as expected; it is an error if it doesn't come."""
        caught = ExpectedError()
        try:
            yield caught
        except kinds as error:
            caught.error = error
            lines = str(error).strip().splitlines() or [""]
            said = f": {lines[0]}" if lines[0] else ""
            self.console.line(f"  expected error, {type(error).__name__}{said}", "yellow")
        else:
            names = " or ".join(kind.__name__ for kind in kinds)
            raise AssertionError(f"expected {names}, but nothing was raised")

    def delay(self, seconds: float) -> float:
        """`seconds`, shortened by --fast, but never under 20 ms so that timings keep order."""
        return max(seconds * FAST_FACTOR, SHORTEST_DELAY) if self.fast else seconds

    def close(self) -> None:
        """End the event loop and speak aloud again."""
        sys.stdout = self._aloud
        if self._runner is not None:
            self._runner.close()

    def hush_until_wanted(self) -> None:
        """With --from N, run silently until step N begins."""
        if self._skip_to > 1:
            self.console.say(f"(the steps before {self._skip_to} run silently)")
            sys.stdout = io.StringIO()

    def _event_loop(self) -> "asyncio.Runner":
        if self._runner is None:
            import asyncio

            self._runner = asyncio.Runner()
            with undisturbed():  # half a loop complains when it is thrown away
                self._runner.get_loop()
        return self._runner

    async def _as_main_task(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await the step; after Ctrl-C, what breaks while all is torn down is no news."""
        import asyncio

        loop, main = asyncio.get_running_loop(), asyncio.current_task()

        def tell(loop: "asyncio.AbstractEventLoop", context: dict[str, Any]) -> None:
            if not (main and main.cancelling()):
                loop.default_exception_handler(context)

        loop.set_exception_handler(tell)
        return await coroutine

    def _pause(self, f: Callable[..., Any]) -> None:
        hushed = self.steps < self._skip_to
        if self.options.step and not hushed and stage.on_stage():
            stage.pause(self.console, self.steps, f, self._chart)


def whole_number(text: str) -> int:
    """Argument type: a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def make_parser(description: str, program: str) -> argparse.ArgumentParser:
    """The options that every lesson has."""
    parser = argparse.ArgumentParser(
        prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--step", action="store_true", help="pause at each step (on a terminal)")
    parser.add_argument("--large", action="store_true", help="short lines, for a large type")
    parser.add_argument(
        "--from", dest="from_step", type=whole_number, default=1, metavar="N",
        help="run the steps before N silently",
    )  # fmt: skip
    parser.add_argument("--fast", action="store_true", help="shorten the delays (tests use this)")
    parser.add_argument("--no-color", action="store_true", help="plain output")
    return parser


def run(
    main: Callable[[Lesson], None],
    options: Callable[[argparse.ArgumentParser], None] | None = None,
    *,
    path: Path | None = None,
    text: str | None = None,
    argv: Sequence[str] | None = None,
) -> None:
    """Run `main` as a lesson and exit with its code.

    `options` adds the lesson's own arguments to the parser. `path` and `text` stand for the file
    and the docstring of a lesson that is no Python script; `argv` for the command line.
    """
    path = path or Path(inspect.getfile(main)).resolve()
    text = inspect.cleandoc(text or sys.modules[main.__module__].__doc__ or path.name)
    parser = make_parser(text, f"python {path.name}")
    if options:
        options(parser)
    arguments = parser.parse_args(argv)
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.exit(_run(main, path, text, arguments))


def _run(
    main: Callable[[Lesson], None], path: Path, text: str, arguments: argparse.Namespace
) -> int:
    entry = manifest.by_path(path)
    console = make_console(color=not arguments.no_color, large=arguments.large)
    name = entry.id.replace("/", "_") if entry else path.stem
    lesson = Lesson(console, arguments, name)
    start = time.perf_counter()
    reason = ""
    try:
        _introduce(console, text, arguments)
        if entry and entry.services:
            _prepare_services(console, entry.services)
        lesson = _perform(main, lesson)
        code = _conclude(lesson, time.perf_counter() - start, text)
    except CourseError as error:
        code, reason = error.exit_code, str(error)
    except KeyboardInterrupt as stop:
        code, reason = INTERRUPTED, str(stop) or "Stopped by Ctrl-C."
    except BrokenPipeError:
        # The reader (`| head`) went away: nothing more can be said, and that is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = OK
    finally:
        lesson.close()
    if reason:
        print(reason, file=sys.stderr)
    _report(lesson, code, reason)
    return code


def _perform(main: Callable[[Lesson], None], lesson: Lesson) -> Lesson:
    """Run `main`, again from its beginning each time that somebody goes back; the last lesson."""
    while True:
        lesson.hush_until_wanted()
        try:
            main(lesson)
        except stage.BackError as back:
            # All steps with short delays, so that what they measured can still be compared.
            again = {**vars(lesson.options), "from_step": back.step, "fast": True}
            following = Lesson(lesson.console, argparse.Namespace(**again), lesson.name)
        else:
            return lesson
        finally:
            lesson.close()
        lesson = following


def _introduce(console: Console, text: str, arguments: argparse.Namespace) -> None:
    title, _, body = text.partition("\n")
    console.heading(title.rstrip("."), "━")
    story = "\n\n".join(
        block for block in body.strip().split("\n\n") if not block.startswith("Run  ")
    )
    console.paragraphs(story)
    if arguments.step and not stage.on_stage():
        console.say("(--step needs a terminal: running without pauses)")


def _prepare_services(console: Console, services: Sequence[str]) -> None:
    from course import connect

    endpoints = connect.prepare(services)
    console.say()
    console.line("stack  " + " · ".join(str(endpoint) for endpoint in endpoints), "dim")


def _conclude(lesson: Lesson, seconds: float, text: str) -> int:
    console, wanted = lesson.console, lesson.options.from_step
    if wanted > max(lesson.steps, 1):
        console.say(f"--from {wanted}: the steps of this lesson end at {lesson.steps}.")
        return USAGE
    false = [claim for claim, holds in lesson.claims if not holds]
    console.say()
    if false:
        console.say(f"{CROSS} False claims: {len(false)} of {len(lesson.claims)}", "bold red")
        for claim in false:
            console.say(f"  {CROSS} {claim}", "red")
        return FAILED
    console.say(f"{TICK} All claims hold: {len(lesson.claims)} checked in {seconds:.1f} s.", "bold")
    following = manifest.header(text).get("Next")
    if following:
        console.say(f"Next: {following}")
    return OK


def _report(lesson: Lesson, code: int, reason: str) -> None:
    """Tell the runner that started this lesson what happened, where it asked for it."""
    path = os.environ.get("COURSE_REPORT")
    if path:
        false = [claim for claim, holds in lesson.claims if not holds]
        result = {"code": code, "claims": len(lesson.claims), "false": false, "reason": reason}
        Path(path).write_text(json.dumps(result), encoding="utf-8")
