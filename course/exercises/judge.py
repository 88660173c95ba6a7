"""Judges one file by one check. As a program: `python -m course.exercises.judge ID FILE RESULT`.

The program writes its verdict as JSON to RESULT, also when the student's code never ends: then a
second thread says where it hangs, and ends the process.
"""

import ast
import asyncio
import contextlib
import faulthandler
import gc
import importlib.util
import inspect
import io
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from course.errors import CourseError, ServiceUnavailable
from course.exercises import catalogue, desk
from course.exercises.catalogue import Exercise
from course.exercises.expectations import Mistake
from course.exercises.query import Query
from course.exercises.verdict import FAILED, NOT_DONE, PASSED, STOPPED, UNAVAILABLE, Verdict

LINES_PRINTED = 2
LINES_OF_A_TRACE = 2
WIDEST = 100  # characters of a line that the student printed


class Printed(io.TextIOBase):
    """Takes what the student prints, keeps the first lines, and counts the rest."""

    def __init__(self) -> None:
        self.text, self.more = "", 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if len(self.text) < LINES_PRINTED * WIDEST and self.text.count("\n") < LINES_PRINTED:
            self.text += text[: LINES_PRINTED * WIDEST]
        else:
            self.more += text.count("\n")
        return len(text)

    def lines(self) -> list[str]:
        """The first lines, and a word on how many there were besides."""
        shown = self.text.splitlines()
        self.more += max(0, len(shown) - LINES_PRINTED)
        kept = [line[:WIDEST] for line in shown[:LINES_PRINTED]]
        return [*kept, f"… and {self.more:,} more lines"] if self.more else kept


class Theirs:
    """The student's module; asking for what it doesn't have is their mistake, said plainly."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._module, name)
        except AttributeError:
            raise Mistake(
                [f"your file has no {name}"],
                "It was in the stub: did its name change? `reset-exercise` brings the stub back.",
            ) from None


class Trial:
    """One check of one file, as far as it has come."""

    def __init__(self, exercise: Exercise, file: Path) -> None:
        self.exercise, self.file = exercise, file
        self.verdict = Verdict(PASSED)
        self.printed = Printed()

    def run(self) -> Verdict:
        """Run the parts of the check until one fails."""
        with contextlib.redirect_stdout(self.printed), contextlib.redirect_stderr(self.printed):
            try:
                theirs = self.load_theirs()
                for part in parts(load_module(self.exercise.check, "check")):
                    self.verdict.part = inspect.getdoc(part) or part.__name__
                    carry_out(part, theirs)
                    self.verdict.held.append(self.verdict.part)
                self.verdict.part = ""
            except (Exception, SystemExit) as error:
                self.explain(error)
        self.verdict.printed = self.printed.lines()
        return self.verdict

    def load_theirs(self) -> Any:
        """The student's module, or query."""
        if self.exercise.language == "sql":
            return Query(self.file)
        return Theirs(load_module(self.file, "theirs"))

    def explain(self, error: BaseException) -> None:
        """Put into the verdict what went wrong, as a student should read it."""
        verdict = self.verdict
        causes = list(leaves(error))
        todo = next((e for e in causes if isinstance(e, NotImplementedError)), None)
        error = todo or causes[0]
        verdict.state = FAILED
        verdict.where = self.their_lines(error)
        if todo:
            verdict.state, verdict.problem, verdict.where = NOT_DONE, [str(todo)], []
        elif isinstance(error, ServiceUnavailable):
            verdict.state, verdict.problem = UNAVAILABLE, [str(error)]
        elif isinstance(error, Mistake):
            verdict.problem, verdict.help = error.problem, error.help
            call = self.what_was_asked(error)
            if call:
                verdict.problem = [f"call      {call}", *verdict.problem]
        elif isinstance(error, SyntaxError):
            verdict.problem = syntax(error)
            verdict.help = "Python can't read the file; look at this line and the one above it."
        elif isinstance(error, CourseError):
            verdict.problem = [str(error)]
        else:
            verdict.problem = [first_lines(error)] if str(error) else [type(error).__name__]
            verdict.help = HELP.get(type(error).__name__, "")
        if verdict.state == FAILED and desk.unchanged(self.exercise, self.file):
            verdict.state = NOT_DONE

    def their_lines(self, error: BaseException) -> list[str]:
        """The student's own lines of a traceback, the last ones."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if Path(f.filename) == self.file]
        return [f"line {f.lineno}, in {f.name}:  {f.line}" for f in own[-LINES_OF_A_TRACE:]]

    def what_was_asked(self, error: Mistake) -> str:
        """The student's call whose answer is not what was expected; '' where it isn't so simple."""
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno or 0 for f in frames if Path(f.filename) == self.exercise.check]
        if not lines or self.exercise.language == "sql":
            return ""
        for node in ast.walk(ast.parse(self.exercise.check.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(ast.Name("expect"), [asked, *_]) if (
                    node.lineno <= lines[-1] <= (node.end_lineno or 0)
                ):
                    text = ast.unparse(asked)
                    return text.replace("their.", "") if "their." in text else ""
        return ""

    def stopped(self) -> Verdict:
        """The verdict on code that is still running, and where it is."""
        self.verdict.state = STOPPED
        frames = [sys._current_frames().get(threading.main_thread().ident or 0), *waiting()]
        for frame in frames:
            lines = list(self.lines_of(frame))
            if lines:
                self.verdict.where = lines[:1]
                break
        self.verdict.printed = self.printed.lines()
        return self.verdict

    def lines_of(self, frame: FrameType | None) -> Iterator[str]:
        """The student's lines in a stack, the innermost first."""
        while frame is not None:
            code = frame.f_code
            if Path(code.co_filename) == self.file:
                text = self.file.read_text(encoding="utf-8", errors="replace").splitlines()
                source = text[frame.f_lineno - 1].strip() if frame.f_lineno <= len(text) else ""
                yield f"line {frame.f_lineno}, in {code.co_name}:  {source}"
            frame = frame.f_back


HELP = {
    "EOFError": "A check can't type: leave out input().",
    "SystemExit": "Leave out exit(): a function says what it has to say by returning or raising.",
    "QueryCanceled": "It took more than 8 s: does a join lack its condition?",
    "ReadOnlySqlTransaction": "The task wants a SELECT: the shop is for reading.",
    "RecursionError": "A function calls itself without end: which call should be the last one?",
}


def judge(exercise: Exercise, file: Path) -> Verdict:
    """What the check of `exercise` says about `file`, in this process."""
    return Trial(exercise, file).run()


def load_module(file: Path, kind: str) -> ModuleType:
    """A module from a file, without leaving compiled code beside it."""
    name = f"exercise_{kind}_{file.stem}"
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up by name
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        specification.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def parts(check: ModuleType) -> list[Callable[[Any], Any]]:
    """The functions of a check called check_…, in the order in which they stand."""
    named = [value for name, value in vars(check).items() if name.startswith("check_")]
    assert named, f"{check.__file__} has no function check_…"
    return named


def carry_out(part: Callable[[Any], Any], theirs: Any) -> None:
    """Call one part of a check, which may be a coroutine function."""
    if inspect.iscoroutinefunction(part):
        asyncio.run(part(theirs))
    else:
        part(theirs)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside a group of errors, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def syntax(error: SyntaxError) -> list[str]:
    """A syntax error in three lines: what, the line, and where in it."""
    line = (error.text or "").rstrip("\n")
    spaces = len(line) - len(line.lstrip())
    arrow = " " * max(0, (error.offset or 1) - 1 - spaces) + "^"
    return [f"line {error.lineno}: {error.msg}", line.strip(), arrow]


def first_lines(error: BaseException) -> str:
    """Type and text of an error, its text cut to a few lines."""
    text = "\n".join(str(error).strip().splitlines()[:3])
    return f"{type(error).__name__}: {text[:300]}"


def waiting() -> Iterator[FrameType]:
    """The frames in which tasks wait, innermost first: a loop that hangs shows none of them."""
    for thing in gc.get_objects():
        if isinstance(thing, asyncio.Task) and not thing.done():
            inside: Any = thing.get_coro()
            frames: list[FrameType] = []
            while getattr(inside, "cr_frame", None):
                frames.append(inside.cr_frame)
                inside = inside.cr_await
            yield from reversed(frames)


def main(arguments: list[str]) -> None:
    """Judge, watched by a thread that ends what takes too long."""
    name, file, result, limit = arguments
    trial = Trial(catalogue.find(name), Path(file))

    def tell(verdict: Verdict) -> None:
        new = Path(result + ".new")
        new.write_text(json.dumps(verdict.as_data()), encoding="utf-8")
        new.replace(result)

    def stop() -> None:
        tell(trial.stopped())
        os._exit(0)

    faulthandler.enable()
    watchdog = threading.Timer(float(limit), stop)
    watchdog.daemon = True
    watchdog.start()
    tell(trial.run())
    # Threads that the student left behind must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
