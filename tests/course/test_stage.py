"""A lesson on stage: keys at a pause, in a real pseudo-terminal; and the clock."""

import re
from pathlib import Path

import pytest

from course import stage
from course.settings import ROOT
from tests.smoke.transcripts import normalised
from tests.support import run_python
from tests.terminal import Terminal

LESSON = '''"""On stage."""
from course.lesson import run


def first(lesson):
    """The first thing."""
    print("one", lesson.delay(1))


def second(lesson):
    """The second thing."""
    try:
        print("two")
    except Exception:
        raise


def third(lesson):
    """The third thing."""
    print("three")


def main(lesson):
    try:
        lesson.step(first, lesson)
        lesson.step(second, lesson)
        lesson.step(third, lesson)
        lesson.check("fine", True)
    finally:
        print("cleaned up")


if __name__ == "__main__":
    run(main)
'''
PAUSE = "[Enter]"


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    file = tmp_path / "on_stage.py"
    file.write_text(LESSON)
    return file


def plain(text: str) -> str:
    """What a person sees: without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def paused(terminal: Terminal, times: int) -> str:
    """What was said up to pause number `times`."""
    terminal.read_until(lambda said: plain(said).count(PAUSE) >= times)
    return plain(terminal.said)


@pytest.mark.parametrize("key", ["\n", "\r", " ", "n", "N", "\x1b[6~"])
def test_keys_that_go_on(lesson: Path, key: str) -> None:
    terminal = Terminal(lesson, "--step")
    for pause in (1, 2, 3):
        paused(terminal, pause)
        terminal.type(key)
    terminal.read_until("All claims hold")
    assert terminal.end() == 0


def test_back_shows_the_step_before_again_after_a_silent_run_up_to_it(lesson: Path) -> None:
    terminal = Terminal(lesson, "--step")
    for pause in (1, 2):
        paused(terminal, pause)
        terminal.type("\n")
    paused(terminal, 3)
    terminal.type("b")
    said = paused(terminal, 4)
    assert said.count("cleaned up") == 1, "the lesson ends in order before it begins again"
    assert said.count("2  The second thing") == 2
    assert said.count("1  The first thing") == 1, "what comes before is silent"
    terminal.type("\n")
    paused(terminal, 5)
    terminal.type("\n")
    terminal.read_until("All claims hold")
    assert terminal.end() == 0


def test_back_twice_reaches_the_first_step_and_no_further(lesson: Path) -> None:
    terminal = Terminal(lesson, "--step")
    paused(terminal, 1)
    terminal.type("\n")
    assert "one 1\n" in paused(terminal, 2)
    terminal.type("b")
    paused(terminal, 3)
    terminal.type("b")
    assert "This is the first step." in paused(terminal, 4)
    terminal.type("\n")
    assert "one 0.1\n" in paused(terminal, 5), "delays are short the second time"
    terminal.type("q")
    terminal.read_until("Ended before step 2.")
    assert terminal.end() == 130


def test_the_source_of_the_step_that_comes(lesson: Path) -> None:
    terminal = Terminal(lesson, "--step")
    paused(terminal, 1)
    terminal.type("s")
    said = paused(terminal, 2)
    assert "def first(lesson):" in said
    assert re.search(r"\b5 def first", said), "with the line number of the file"
    assert "\x1b[38" in terminal.said, "highlighted"
    terminal.type("q")
    assert terminal.end() == 130


def test_no_chart_yet_and_keys_that_mean_nothing(lesson: Path) -> None:
    terminal = Terminal(lesson, "--step")
    paused(terminal, 1)
    arrows = "\x1b[A\x1b[B\x1b[C\x1bOD"  # with letters of other keys in them
    terminal.type(f"xyz7\t{arrows}c")
    assert "No chart has been drawn yet." in paused(terminal, 2)
    terminal.type("q")
    assert terminal.end() == 130


@pytest.mark.parametrize("options", [[], ["--no-color"]])
def test_large_type_has_short_lines(lesson: Path, options: list[str]) -> None:
    terminal = Terminal(lesson, "--step", "--large", *options)
    said = paused(terminal, 1)
    assert max(map(len, said.splitlines())) <= 56
    terminal.type("q")
    assert terminal.end() == 130


def test_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stage.clock(0) == "0:00"
    assert stage.clock(61.4) == "1:01"
    assert stage.clock(-90) == "-1:30"
    assert stage.time_left() == ""
    monkeypatch.setenv(stage.ENDS, "100 1000")
    assert stage.time_left(lambda: 40) == "1:00 here, 16:00 in all"


PLAN = """
title = "Two short ones"

[[part]]
lesson = "async/01"
minutes = 2
from = 2
say = "Guess first."

[[part]]
lesson = "async/02"
minutes = 3
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "plan.toml"
    file.write_text(PLAN)
    return file


def test_a_demo_on_a_terminal_keeps_the_time_in_sight(plan: Path) -> None:
    terminal = Terminal("-m", "course", "demo", plan, "--fast", cwd=ROOT)
    said = paused(terminal, 1)
    assert "Two short ones" in said
    assert "Guess first." in said
    assert "[Enter] begins, 2 minutes" in said
    terminal.type("\n")
    said = paused(terminal, 2)
    assert re.search(r"[12]:\d\d here, [45]:\d\d in all", said)
    assert "2  " in said
    terminal.type("q")
    assert "Part 2 of 2" in paused(terminal, 3)
    terminal.type("q")
    assert terminal.end() == 130


def test_a_rehearsal_without_a_terminal_runs_through(plan: Path) -> None:
    done = run_python("-m", "course", "demo", plan, "--fast")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("All claims hold") == 2
    assert "The end, " in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no parts"),
        ("[[part]]\nminutes = 3", "name a lesson"),
        ('[[part]]\nlesson = "async/01"', "minutes must be a number above 0"),
        ('[[part]]\nlesson = "async/01"\nminutes = 3\nfrom = 0', "from must be"),
        ('[[part]]\nlesson = "async/01"\nminutes = 3\nform = 2', "form means nothing"),
        ('[[part]]\nlesson = "nothing/99"\nminutes = 3', "No lesson is called"),
        ("title = ", "can't be read"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    done = run_python("-m", "course", "demo", file)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_plan_and_a_part_that_is_not_there(plan: Path) -> None:
    done = run_python("-m", "course", "demo", "nowhere")
    assert done.returncode == 2
    assert "first_evening" in done.stderr
    assert run_python("-m", "course", "demo", plan, "--start", "3").returncode == 2


def test_our_plans_can_be_read() -> None:
    done = run_python("-m", "course", "demo")
    assert done.returncode == 0
    for file in (ROOT / "docs" / "plans").glob("*.toml"):
        assert file.stem in done.stdout


SESSION = Path(__file__).with_name("stage_session.txt")


def test_a_session_in_front_of_a_class(request: pytest.FixtureRequest) -> None:
    """async/01 on a terminal: a step, the code of the next one, that one, back, and the end.

    The whole session is kept; renew it with --renew-transcripts after a wanted change.
    """
    terminal = Terminal(
        ROOT / "async_examples" / "01_async_basics.py", "--step", "--fast", "--no-color"
    )
    for number, key in enumerate(["\n", "s", "\n", "b", "q"], 1):
        paused(terminal, number)
        terminal.type(key)
    terminal.read_until("Ended before step 2.")
    assert terminal.end() == 130
    said = normalised(plain(terminal.said))
    if request.config.getoption("renew_transcripts"):
        SESSION.write_text(said, encoding="utf-8")
    assert said.splitlines() == SESSION.read_text(encoding="utf-8").splitlines()
