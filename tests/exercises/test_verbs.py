"""The verbs for exercises, as students type them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from course.console import Console
from course.errors import INTERRUPTED, UNAVAILABLE, USAGE
from course.exercises import catalogue, report
from course.exercises.verbs import VERBS
from course.exercises.verdict import FAILED, NOT_DONE, STOPPED, Verdict
from course.settings import ROOT
from tests.support import run_python

LONGEST = 19  # lines: under 20
FETCH = catalogue.find("async/fetch_together")
Learn = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A student's folder, in a place with a space and letters that aren't English."""
    return tmp_path / "моя тека"


@pytest.fixture
def learn(desk: Path) -> Learn:
    """`learn.py WORDS` by a student whose folder is `desk`."""

    def type_it(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {"COURSE_EXERCISES_DIR": str(desk), **environment}
        return run_python("-P", "-m", "course", *words, **environment)

    return type_it


def solve(desk: Path, name: str, code: str | None = None) -> Path:
    """Put the solution, or `code`, into the student's file."""
    exercise = catalogue.find(name)
    file = desk / exercise.module / exercise.file_name
    file.parent.mkdir(parents=True, exist_ok=True)
    text = exercise.solution.read_text(encoding="utf-8") if code is None else code
    file.write_text(text, encoding="utf-8")
    return file


def fetch(body: str) -> str:
    """A file for async/fetch_together with that body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"import asyncio\n\n\nasync def fetch_all(fetch, names):\n{lines}"


def test_the_first_check_makes_a_copy_and_says_what_to_do(learn: Learn, desk: Path) -> None:
    first = learn("check")
    assert first.returncode == 1 and "Your copy to work on" in first.stdout
    assert "Not done yet" in first.stdout and "Traceback" not in first.stdout + first.stderr
    assert (desk / "async" / "fetch_together.py").read_text("utf-8") == FETCH.stub.read_text(
        "utf-8"
    )
    again = learn("check")
    assert again.returncode == 1 and "Your copy to work on" not in again.stdout
    assert again.stdout.endswith("A hint: python3 learn.py hint fetch_together\n")


def test_a_solution_passes_is_noted_and_the_next_one_is_named(learn: Learn, desk: Path) -> None:
    solve(desk, "fetch_together")
    passed = learn("check", "fetch_together")
    assert passed.returncode == 0, passed.stdout
    assert passed.stdout.count("✓") == 3 and "Passed. 1 of 56 exercises are done." in passed.stdout
    assert "Next: python3 learn.py check async/at_most" in passed.stdout
    following = learn("check")
    assert following.stdout.count("async/at_most") >= 1 and following.returncode == 1
    assert "1 of 56" in learn("progress").stdout
    assert "✓ async/fetch_together" in learn("progress", "--all").stdout
    solve(desk, "fetch_together", "import asyncio\n")
    assert learn("check", "fetch_together").returncode == 1
    assert "1 of 56" in learn("progress").stdout, "what has passed once stays passed"


@pytest.mark.parametrize(
    "words",
    [
        "race",
        "ticket_race",
        "async/ticket_race",
        "Ticket_Race.py",
        "my_exercises/async/ticket_race.py",
        "async\\ticket_race.py",
    ],
)
def test_many_names_find_one_exercise(words: str) -> None:
    assert catalogue.find(words).id == "async/ticket_race"


def test_wrong_names_exit_2_and_say_what_fits(learn: Learn) -> None:
    several = learn("check", "data/")
    assert several.returncode == USAGE and "fits 10 exercises" in several.stderr
    assert "data/lru_cache" in several.stderr
    unknown = learn("hint", "tiket_race")
    assert unknown.returncode == USAGE and "Did you mean async/ticket_race?" in unknown.stderr
    assert learn("solution").returncode == USAGE


def test_a_wrong_answer_is_told_in_three_things(learn: Learn, desk: Path) -> None:
    solve(desk, "fetch_together", fetch("return [await fetch(name) for name in names[::-1]]"))
    said = learn("check", "fetch_together")
    assert said.returncode == 1 and "✗ The texts come back in the order of the names" in said.stdout
    assert "call      await fetch_all(Site().fetch, ['a', 'b', 'c'])" in said.stdout
    assert "expected  ['text of a', 'text of b', 'text of c']" in said.stdout
    assert "got       ['text of c', 'text of b', 'text of a']" in said.stdout
    assert "Help: Page a is the slowest here" in said.stdout


def test_an_exception_shows_the_students_own_lines_only(learn: Learn, desk: Path) -> None:
    body = 'print("looking")\n' * 30 + "return await asyncio.gather(*(lost(n) for n in names))"
    solve(desk, "fetch_together", fetch(body) + "\n\nasync def lost(name):\n    return {}[name]\n")
    said = learn("check", "fetch_together")
    assert "KeyError: 'a'" in said.stdout and "line 39, in lost:  return {}[name]" in said.stdout
    assert "asyncio/" not in said.stdout and "Traceback" not in said.stdout + said.stderr
    assert said.stdout.count("| looking") == 2 and "… and 28 more lines" in said.stdout
    assert len(said.stdout.splitlines()) <= LONGEST


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (fetch("while True:\n    names.sort()"), "in fetch_all"),
        (fetch("return await asyncio.Event().wait()"), "in fetch_all:  return await asyncio.Event"),
        ("import time\n\ntime.sleep(3600)\n", "line 3, in <module>:  time.sleep(3600)"),
    ],
    ids=["a loop", "an await", "at import"],
)
def test_what_hangs_is_stopped_and_where_is_said(
    learn: Learn, desk: Path, code: str, line: str
) -> None:
    solve(desk, "fetch_together", code)
    start = time.monotonic()
    said = learn("check", "fetch_together", "--limit", "1.5")
    assert time.monotonic() - start < 10
    assert said.returncode == 1 and "Stopped: it was still running" in said.stdout
    assert line in said.stdout


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def fetch_all(:\n    pass\n", ["line 1: invalid syntax", "def fetch_all(:", "    ^"]),
        ("def other():\n    pass\n", ["your file has no fetch_all", "reset-exercise"]),
        ("import os\n\nos._exit(3)\n", ["ended the whole program (exit code 3)"]),
        ("raise SystemExit\n", ["SystemExit", "Leave out exit()"]),
        ("import nowhere\n", ["ModuleNotFoundError: No module named 'nowhere'", "line 1"]),
        (fetch("input()"), ["EOFError", "leave out input()"]),
        (fetch("raise NotImplementedError('TODO: soon')"), ["TODO: soon", "something left to do"]),
    ],
    ids=["syntax", "renamed", "os._exit", "exit", "import", "input", "half done"],
)
def test_strange_files_read_well(learn: Learn, desk: Path, code: str, words: list[str]) -> None:
    solve(desk, "fetch_together", code)
    said = learn("check", "fetch_together")
    assert said.returncode == 1 and not said.stderr
    for word in words:
        assert word in said.stdout, said.stdout


def test_a_hungry_file_is_stopped(
    learn: Learn, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from course.exercises import trial

    monkeypatch.setattr(trial, "MEMORY", 300 * 1024**2)
    file = solve(desk, "fetch_together", "import time\nx = b'1' * 400_000_000\ntime.sleep(60)\n")
    verdict = trial.try_out(FETCH, file)
    assert verdict.state == STOPPED and "of memory" in verdict.problem[0]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("-- thinking\n", "Not done yet"),
        ("SELECT nme FROM customers;\n", 'column "nme" does not exist'),
        ("SELECT 1; SELECT 2;\n", "the file holds 2 statements"),
        ("UPDATE public.customers SET name = 'x' RETURNING 1, 2;\n", "cannot execute UPDATE"),
    ],
)
def test_sql_reads_well(
    learn: Learn, desk: Path, service: Callable[[str], str], query: str, words: str
) -> None:
    service("postgres")
    solve(desk, "never_ordered", query)
    said = learn("check", "never_ordered")
    assert said.returncode == 1 and words in said.stdout, said.stdout


def test_a_missing_service_exits_69_in_one_sentence(learn: Learn) -> None:
    said = learn("check", "online_read", REDIS_URL="redis://127.0.0.1:9/0")
    assert said.returncode == UNAVAILABLE and len(said.stderr.splitlines()) <= 2
    assert "Redis" in said.stderr and "Traceback" not in said.stderr


def test_hints_come_one_at_a_time(learn: Learn) -> None:
    steps = catalogue.find("ticket_race").hints()
    for number, step in enumerate(steps, 1):
        said = learn("hint", "race").stdout
        assert f"Hint {number} of {len(steps)}" in said and step.splitlines()[0] in said
        assert ("Still stuck?" in said) == (number == len(steps))
    assert "That was the last one" in learn("hint", "race").stdout
    assert learn("hint", "race", "--all").stdout.count("Hint ") == len(steps)


def test_a_solution_is_shown_to_whoever_has_one(learn: Learn, desk: Path) -> None:
    refused = learn("solution", "fetch_together")
    assert refused.returncode == USAGE and "hasn't passed yet" in refused.stderr
    peeked = learn("solution", "fetch_together", "--peek")
    assert "A word of warning" in peeked.stdout and "gather(" in peeked.stdout
    solve(desk, "fetch_together")
    learn("check", "fetch_together")
    shown = learn("solution", "fetch_together").stdout
    assert shown.rstrip() == FETCH.solution.read_text(encoding="utf-8").rstrip()


def test_reset_brings_the_stub_back_and_keeps_the_work(learn: Learn, desk: Path) -> None:
    file = solve(desk, "fetch_together")
    learn("check", "fetch_together")
    said = learn("reset-exercise", "fetch_together").stdout
    assert "Your version is kept" in said
    assert file.read_text("utf-8") == FETCH.stub.read_text("utf-8")
    kept = file.with_name("fetch_together.old1.py")
    assert kept.read_text("utf-8") == FETCH.solution.read_text("utf-8")
    assert "kept" not in learn("reset-exercise", "fetch_together").stdout
    assert "0 of 56" in learn("progress").stdout


def test_a_note_that_cant_be_read_is_explained(learn: Learn, desk: Path) -> None:
    desk.mkdir()
    (desk / "progress.json").write_text("{oh")
    said = learn("progress")
    assert said.returncode == 1 and "Delete it to begin a new one" in said.stderr


def test_two_checks_at_once_are_both_noted(learn: Learn, desk: Path) -> None:
    solve(desk, "fetch_together")
    solve(desk, "at_most")
    both = [typed(desk, "check", name) for name in ("fetch_together", "at_most")]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    notes = json.loads((desk / "progress.json").read_text())
    assert notes["async/fetch_together"]["passed"] and notes["async/at_most"]["passed"]


def typed(desk: Path, *words: str) -> subprocess.Popen[str]:
    """`learn.py WORDS`, running."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "course", *words],
        cwd=ROOT,
        env={**os.environ, "COURSE_EXERCISES_DIR": str(desk), "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """The output up to the line that has `words` in it."""
    said = ""
    assert process.stdout
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"{words!r} never came:\n{said}")


def test_watch_checks_at_every_save_until_it_passes(desk: Path) -> None:
    watching = typed(desk, "watch")
    try:
        assert "Not done yet" in read_until(watching, "save it to check again")
        solve(desk, "fetch_together", fetch("return names"))
        assert "✗" in read_until(watching, "save it to check again")
        # As editors save: a new file beside it, put in its place.
        new = solve(desk, "at_most", FETCH.solution.read_text("utf-8"))
        new.replace(desk / "async" / "fetch_together.py")
        assert "✓" in read_until(watching, "Passed. 1 of 56")
        assert watching.wait(timeout=10) == 0
    finally:
        watching.kill()
        watching.communicate()


def test_watch_ends_by_itself_when_nobody_is_there(learn: Learn) -> None:
    said = learn("watch", "--seconds", "0.5")
    assert said.returncode == 1 and "wasn't saved again" in said.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C can't be sent to one process there")
def test_ctrl_c_ends_a_check_and_what_it_started(desk: Path) -> None:
    file = solve(desk, "fetch_together", f"print()\nopen({str(desk / 'here')!r}, 'w').write(str("
                 "__import__('os').getpid()))\nwhile True:\n    pass\n")  # fmt: skip
    assert file.exists()
    checking = typed(desk, "check", "fetch_together")
    deadline = time.monotonic() + 20
    while not (desk / "here").exists() or not (desk / "here").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = int((desk / "here").read_text())
    checking.send_signal(signal.SIGINT)
    assert checking.wait(timeout=20) == INTERRUPTED
    _, errors = checking.communicate()
    assert errors.strip() == "Stopped by Ctrl-C."
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("state", [FAILED, NOT_DONE, STOPPED])
def test_the_longest_report_has_under_20_lines(
    state: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = solve(desk, "fetch_together")
    long = "much too long " * 60
    lines = [long] * (1 if state == NOT_DONE else 2)
    where = [] if state == NOT_DONE else lines
    verdict = Verdict(state, [long] * 9, long, [long] * 9, long, where, [*lines, "more"])
    report.show(Console(), FETCH, file, verdict)
    said = capsys.readouterr().out.splitlines()
    assert len(said) < LONGEST, "a line for the hint follows"
    assert all(len(line) <= 84 for line in said if str(desk) not in line)


def test_the_page_tells_the_numbers() -> None:
    page = (ROOT / "exercises" / "README.md").read_text(encoding="utf-8")
    assert page.startswith("# Exercises\n\nFifty-six small tasks") and len(catalogue.load()) == 56
    assert all(f"`learn.py {verb}" in page for verb in VERBS)
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "my_exercises/" in ignored
