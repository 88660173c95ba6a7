"""The front door: set-up from nothing, set-up again, and everything that can go wrong with it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import learn
from course.cli import VERBS
from course.settings import ROOT
from tests.support import copy_of_the_course


class Answer(NamedTuple):
    code: int
    out: str
    errors: str


def front_door(root: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> Answer:
    ended = subprocess.run(
        [sys.executable, root / "learn.py", *arguments],
        cwd=cwd or root,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )
    return Answer(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of the course, in a folder whose name needs care."""
    return copy_of_the_course(tmp_path_factory.mktemp("a course") / "курс")


def test_without_a_verb_it_says_what_it_can_do(fresh: Path) -> None:
    answer = front_door(fresh)
    assert answer.code == 0
    assert not (fresh / ".venv").exists(), "asking for help must install nothing"
    for verb in VERBS:
        assert verb in answer.out


def test_a_fresh_copy_sets_itself_up_once_and_runs(fresh: Path, tmp_path: Path) -> None:
    first = front_door(fresh, "run", "async/01", "--fast", cwd=tmp_path)
    assert first.code == 0, first.errors
    assert "Setting up .venv from requirements.txt" in first.out
    assert "Set up in " in first.out
    assert "All claims hold" in first.out
    again = front_door(fresh, "run", "async/01", "--fast", cwd=tmp_path)
    assert again.code == 0
    assert "Setting up" not in again.out


def test_changed_requirements_are_installed(fresh: Path) -> None:
    requirements = fresh / "requirements.txt"
    requirements.write_text(requirements.read_text() + "# changed\n")
    assert "Setting up" in front_door(fresh, "list").out
    assert "Setting up" not in front_door(fresh, "list").out


def test_a_package_that_cannot_be_had_is_said_plainly_and_heals(fresh: Path) -> None:
    requirements = fresh / "requirements.txt"
    good = requirements.read_text()
    requirements.write_text(good + "no-such-package-of-the-course==1.0\n")
    answer = front_door(fresh, "list")
    assert answer.code == 1
    assert "The packages could not be installed" in answer.errors
    assert "no-such-package-of-the-course" in answer.errors
    assert "Traceback" not in answer.errors
    requirements.write_text(good)
    assert front_door(fresh, "list").code == 0


def test_a_broken_environment_is_made_anew(fresh: Path) -> None:
    python = fresh / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    assert python.exists(), "the tests above made it"
    python.unlink()
    answer = front_door(fresh, "list")
    assert answer.code == 0, answer.errors
    assert "Setting up" in answer.out


def test_two_first_starts_build_one_environment(tmp_path: Path) -> None:
    root = copy_of_the_course(tmp_path)
    command = [sys.executable, root / "learn.py", "list"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=280)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Setting up" in text for text in said) == 1


def test_a_project_apart_gets_an_environment_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("sentinels==1.1.1\n# 1 MB, a second\n")
    first = front_door(ROOT, "environment", str(tmp_path))
    assert first.code == 0, first.errors
    assert "from requirements.txt: 1 MB, a second" in first.out
    venv = learn.Environment(tmp_path)
    assert subprocess.call([venv.python, "-c", "import sentinels"]) == 0
    assert front_door(ROOT, "environment", str(tmp_path)).out == ""


@pytest.mark.parametrize("version", [(3, 8, 1), (3, 14, 0)])
def test_another_python_version_is_refused_with_what_to_do(
    version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(learn.SetupError, match=rf"this is {version[0]}\.{version[1]}\. Install"):
        learn.main(["list"])


def test_uv_is_told_what_pip_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = https://one.example/simple\n"
        "extra-index-url = https://two.example/simple https://three.example/simple\n"
        "find-links = wheels\n"
    )
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    options = learn.settings_for_uv([sys.executable, "-m", "pip"])
    text = " ".join(options)
    assert "--index-url https://one.example/simple" in text
    assert "--extra-index-url https://two.example/simple" in text
    assert "--extra-index-url https://three.example/simple" in text
    assert "--find-links wheels" in text
    assert text.endswith("--index-strategy unsafe-best-match")


@pytest.mark.parametrize(
    ("platform", "requirements", "wheel", "needed"),
    [
        ("linux", "torch==2.13.0", None, True),
        ("linux", "numpy==2.4.6\ntorch==2.13.0 ; python_version < '3.14'", "cp39", True),
        ("linux", "torch==2.13.0", "cp{}{}".format(*sys.version_info), False),
        ("darwin", "torch==2.13.0", None, False),
        ("win32", "torch==2.13.0", None, False),
        ("linux", "torchmetrics==1.0\n# torch==2.13.0", None, False),
    ],
)
def test_torch_comes_without_cuda(
    platform: str,
    requirements: str,
    wheel: str | None,
    needed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if wheel:
        (tmp_path / f"torch-2.13.0+cpu-{wheel}-{wheel}-manylinux_2_28_x86_64.whl").touch()
    monkeypatch.setattr(sys, "platform", platform)
    settings = ["--index-url", "https://one.example/simple", "--find-links", str(tmp_path)]
    assert learn.needs_torch_on_cpu(requirements, settings) is needed


def test_the_installer_is_told_where_torch_without_cuda_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements.txt").write_text("torch==2.13.0\n")
    monkeypatch.setattr(learn, "settings_for_uv", lambda pip: [])
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(learn, "UV", "no-such-package-of-the-course")
    venv = learn.Environment(tmp_path)
    venv.make()
    for uv, told in ((None, learn.TORCH_ON_CPU), ("/bin/uv", "--torch-backend cpu")):
        monkeypatch.setattr(learn.shutil, "which", lambda name, uv=uv: uv)
        assert told in " ".join(venv.installer("requirements.txt"))


def test_pip_does_it_where_uv_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "UV", "no-such-package-of-the-course")
    monkeypatch.setenv("PATH", "")
    (tmp_path / "requirements.txt").write_text("sentinels==1.1.1\n")
    venv = learn.Environment(tmp_path)
    venv.make()
    command = venv.installer("requirements.txt")
    assert command[:3] == [str(venv.python), "-m", "pip"]
    assert command[-3:] == ["install", "-r", "requirements.txt"]


def test_half_a_program_does_not_work(tmp_path: Path) -> None:
    half = tmp_path / "uv"
    assert not learn.works(half)
    half.write_bytes(b"\x7fELF, and then the disk was full")
    half.chmod(0o755)
    assert not learn.works(half)
    assert learn.works(Path(sys.executable))


def test_a_folder_that_can_not_be_used_is_said_plainly(tmp_path: Path) -> None:
    course = copy_of_the_course(tmp_path / "course")
    (course / ".venv").write_text("no folder")
    answer = front_door(course, "list")
    assert answer.code == 1
    assert answer.errors.startswith("The set-up stopped: ")
    assert "Make room on the disk" in answer.errors
    assert "Traceback" not in answer.errors
