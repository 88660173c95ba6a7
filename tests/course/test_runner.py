"""Running lessons: what the runner makes of every way in which a lesson can end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from course import manifest, runner
from course.console import Console
from course.errors import UsageError
from course.manifest import Entry
from tests.stack.private import eventually

BODIES = {
    "good": "lesson.check('true', True)",
    "false": "lesson.check('pigs fly', False)",
    "crash": "raise RuntimeError('oh')",
    "missing": "raise ServiceUnavailable('redis', 'No Redis', 'here', 'learn.py up redis')",
    "slow": "Path(__file__).with_suffix('.begun').touch(); time.sleep(60)",
}


@pytest.fixture
def lessons(tmp_path: Path) -> dict[str, Entry]:
    """A lesson for each way to end."""
    found = {}
    for name, body in BODIES.items():
        file = tmp_path / f"{name}.py"
        file.write_text(
            f'"""{name}."""\nimport time\nfrom pathlib import Path\n'
            "from course.errors import ServiceUnavailable\n"
            f"from course.lesson import run\n\ndef main(lesson):\n    {body}\n\nrun(main)\n"
        )
        limit = 3 if name == "slow" else 60
        found[name] = Entry(f"try/{name}", str(file), "Try", name, 1, limit=limit)
    return found


@pytest.mark.parametrize(
    ("name", "result", "reason"),
    [
        ("good", "passed", ""),
        ("false", "failed", "false: pigs fly"),
        ("crash", "failed", "exit code 1"),
        ("missing", "skipped", "No Redis (looked at: here). To get it: learn.py up redis"),
        ("slow", "failed", "took longer than 3 s and was ended"),
    ],
)
def test_each_ending_has_its_result(
    lessons: dict[str, Entry], name: str, result: str, reason: str
) -> None:
    outcome = runner.run_lesson(lessons[name], [])
    assert (outcome.result, outcome.reason) == (result, reason)
    assert outcome.claims == (name in ("good", "false"))


def test_it_goes_on_after_a_failure_and_exits_1(
    lessons: dict[str, Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [lessons[name] for name in ("crash", "missing", "good")]
    assert runner.run_all(Console(), entries, [], strict=False) == 1
    out = capsys.readouterr().out
    assert "| RuntimeError: oh" in out, "the end of a failed lesson's output"
    assert "1 passed, 1 failed, 1 skipped; 1 claims checked" in out


def test_a_skip_is_no_failure_unless_strict(lessons: dict[str, Entry]) -> None:
    entries = [lessons["good"], lessons["missing"]]
    assert runner.run_all(Console(), entries, [], strict=False) == 0
    assert runner.run_all(Console(), entries, [], strict=True) == 1


def test_heavy_lessons_run_only_when_named_or_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    light = Entry("a/01", "a", "A", "Light", 1)
    heavy = Entry("flights", "b", "B", "Heavy", 1, heavy=True)
    monkeypatch.setattr(manifest, "load", lambda: (light, heavy))
    assert runner.choose([], everything=False) == ([light], [heavy])
    assert runner.choose([], everything=True) == ([light, heavy], [])
    assert runner.choose(["flights"], everything=False) == ([heavy], [])


def test_names_that_fit_none_or_several_are_refused() -> None:
    with pytest.raises(UsageError, match=r"learn\.py list"):
        runner.choose(["nonsense"], everything=False)
    with pytest.raises(UsageError, match=r"(?s)async/01.*async/02"):
        runner.choose(["async"], everything=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to the whole console")
def test_ctrl_c_ends_the_lesson_too_and_shows_the_table(lessons: dict[str, Entry]) -> None:
    program = (
        "import sys; from course import runner; from course.console import Console;"
        "from course.manifest import Entry;"
        f"sys.exit(runner.run_all(Console(), [Entry('try/slow', {lessons['slow'].path!r},"
        " 'Try', 'slow', 1)], [], False))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    eventually(Path(lessons["slow"].path).with_suffix(".begun").exists, seconds=60)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "0 passed" in out
