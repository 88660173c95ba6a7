"""The lesson kit, tried as students use it: small scripts run as processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import run_python

OPENING = '"""A tiny lesson.\n\nYou will see it run.\n\nRun      python tiny.py\n"""\n'
Script = Callable[[str], Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Writes a lesson with the given body of `main`, and returns its path."""

    def write(body: str, more: str = "") -> Path:
        path = tmp_path / "tiny.py"
        path.write_text(
            OPENING
            + "import asyncio, time\nfrom course.lesson import Lesson, run\n\n"
            + 'def first():\n    """The first thing.\n\n    Why it matters.\n    """\n'
            + "    print('one')\n    return 1\n\n"
            + 'async def second():\n    """The second thing."""\n    await asyncio.sleep(0)\n'
            + "    print('two')\n    return asyncio.get_running_loop()\n\n"
            + f"{more}\ndef main(lesson: Lesson) -> None:\n"
            + textwrap.indent(textwrap.dedent(body), "    ")
            + "\n\nif __name__ == '__main__':\n    run(main)\n",
            encoding="utf-8",
        )
        return path

    return write


def test_a_lesson_tells_its_steps_and_claims(script: Script) -> None:
    lesson = script("x = lesson.step(first)\nlesson.check('it is one', x == 1, 'x = 1')")
    ended = run_python(lesson)
    assert ended.returncode == 0, ended.stderr
    for expected in (
        "A tiny lesson\n━",
        "You will see it run.",
        "1  The first thing\n─",
        "Why it matters.",
        "one\n",
        "✓ it is one  (x = 1)",
        "✓ All claims hold: 1 checked in ",
    ):
        assert expected in ended.stdout
    assert "Run  " not in ended.stdout, "the Run lines are for the reader of the file"


def test_coroutines_share_one_event_loop(script: Script) -> None:
    body = "a = lesson.step(second)\nb = lesson.step(second)\nlesson.check('one loop', a is b)"
    assert run_python(script(body)).returncode == 0


def test_a_false_claim_exits_1_and_is_named(script: Script) -> None:
    ended = run_python(script("lesson.check('pigs fly', False)\nlesson.check('true', True)"))
    assert ended.returncode == 1
    assert "✗ False claims: 1 of 2\n  ✗ pigs fly" in ended.stdout


def test_an_error_shows_its_traceback_and_exits_1(script: Script) -> None:
    ended = run_python(script("lesson.step(first)\nraise RuntimeError('oh')"))
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("RuntimeError: oh")


def test_expected_errors_are_labelled_and_must_come(script: Script) -> None:
    body = """
    with lesson.expected_error(ZeroDivisionError) as caught:
        1 / 0
    lesson.check("caught", isinstance(caught.error, ZeroDivisionError))
    with lesson.expected_error(KeyError):
        pass
    """
    ended = run_python(script(body))
    assert "expected error, ZeroDivisionError: division by zero" in ended.stdout
    assert ended.returncode == 1
    assert "expected KeyError, but nothing was raised" in ended.stderr


def test_from_runs_earlier_steps_silently(script: Script) -> None:
    body = """
    x = lesson.step(first)
    lesson.check("silent claim", x == 1)
    lesson.step(second)
    lesson.check("loud claim", True)
    """
    ended = run_python(script(body), "--from", "2")
    assert ended.returncode == 0
    assert "one" not in ended.stdout
    assert "silent claim" not in ended.stdout
    assert "2  The second thing" in ended.stdout
    assert "✓ loud claim" in ended.stdout
    assert "2 checked in" in ended.stdout


def test_from_shows_a_false_claim_of_a_silent_step(script: Script) -> None:
    body = "lesson.step(first)\nlesson.check('silent', False)\nlesson.step(second)"
    ended = run_python(script(body), "--from", "2")
    assert ended.returncode == 1
    assert "✗ silent" in ended.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--from", "9"], "the steps of this lesson end at 1"),
        (["--from", "0"], "must be 1 or more"),
        (["--from", "x"], "invalid"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_options_exit_2_and_say_why(script: Script, options: list[str], says: str) -> None:
    ended = run_python(script("lesson.step(first)"), *options)
    assert ended.returncode == 2
    assert says in ended.stdout + ended.stderr


def test_help_shows_the_opening(script: Script) -> None:
    ended = run_python(script("pass"), "--help")
    assert "You will see it run." in ended.stdout
    assert "Run      python tiny.py" in ended.stdout


def test_delays_are_shortened_but_never_under_20_ms(script: Script) -> None:
    lesson = script("print([lesson.delay(s) for s in (1, 0.1, 0.01)])")
    assert "[1, 0.1, 0.01]" in run_python(lesson).stdout
    assert "[0.1, 0.02, 0.02]" in run_python(lesson, "--fast").stdout


def test_step_without_a_terminal_says_so_and_goes_on(script: Script) -> None:
    ended = run_python(script("lesson.step(first)"), "--step")
    assert ended.returncode == 0
    assert "--step needs a terminal" in ended.stdout


def test_a_course_error_is_one_sentence(script: Script) -> None:
    body = """
    from course.errors import ServiceUnavailable
    raise ServiceUnavailable("redis", "Redis is not there", "127.0.0.1:6379", "learn.py up redis")
    """
    ended = run_python(script(body))
    assert ended.returncode == 69
    assert ended.stderr.strip() == (
        "Redis is not there (looked at: 127.0.0.1:6379). To get it: learn.py up redis"
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp866"])
def test_consoles_that_are_not_utf8_get_plain_spelling(script: Script, encoding: str) -> None:
    body = "print('дані → 5 µs')\nlesson.check('fine', True)\nlesson.table([{'a': 1}])"
    ended = subprocess.run(
        [sys.executable, script(body)],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert b"ok fine" in ended.stdout
    assert b"->" in ended.stdout


def test_a_reader_that_leaves_early_is_no_error(script: Script) -> None:
    lesson = script("for i in range(20000):\n    print('a line', i)")
    with subprocess.Popen(
        [sys.executable, lesson], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to the whole console")
@pytest.mark.parametrize("body", ["time.sleep(30)", "lesson.step(asyncio.sleep, 30)"])
def test_ctrl_c_exits_130_without_a_traceback(script: Script, body: str) -> None:
    lesson = script(f"print('ready', flush=True)\n{body}")
    process = subprocess.Popen(
        [sys.executable, lesson], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    while "ready" not in process.stdout.readline():
        pass
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == "Stopped by Ctrl-C."


def test_ctrl_c_before_a_coroutine_is_awaited_is_quiet(script: Script) -> None:
    body = "lesson._event_loop = interrupted\nlesson.step(second)"
    more = "def interrupted():\n    raise KeyboardInterrupt\n"
    ended = run_python("-W", "error", script(body, more))
    assert (ended.returncode, ended.stderr) == (130, "Stopped by Ctrl-C.\n")


def test_a_chart_is_saved_under_output(script: Script) -> None:
    body = """
    from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().plot([1, 2])
    path = lesson.chart(figure, "line")
    lesson.check("it is a picture", path.read_bytes().startswith(bytes([137]) + b"PNG"))
    path.unlink()
    """
    ended = run_python(script(body))
    assert ended.returncode == 0, ended.stderr
    assert "chart saved as output/tiny_line.png" in ended.stdout


def test_the_kit_needs_the_standard_library_only(script: Script) -> None:
    body = "lesson.step(first)\nlesson.table([{'a': 1}])\nlesson.check('fine', True)"
    ended = run_python("-S", "-c", STANDARD_LIBRARY_ONLY, script(body))
    assert ended.returncode == 0, ended.stderr
    assert "✓ fine" in ended.stdout


STANDARD_LIBRARY_ONLY = f"""
import runpy, sys
sys.path.append({str(Path(__file__).parents[2])!r})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
