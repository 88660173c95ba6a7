"""The live demo: every scene with a real service and Redis, and what it says when one fails."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_model
from api_kit import redis_url, stocked

from src.demo import backstage
from src.demo.__main__ import main
from src.demo.scenes import SCENES
from src.demo.stage import RECORDING, Stage, play

NOBODY = "redis://127.0.0.1:9/0"
PLAN_B = re.compile(r"Plan B: `\S+ -m src\.demo --recorded`")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("demo")
    tiny_model.model(home / "models")
    return home


@pytest.fixture
def home(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with a small model, and its features in Redis."""
    url = redis_url()
    with stocked(url) as prefix:
        monkeypatch.setenv("REDIS_URL", url)
        monkeypatch.setenv("FLIGHTS_KEY_PREFIX", prefix)
        monkeypatch.delenv("MODEL_PATH", raising=False)
        monkeypatch.delenv("FLIGHTS_HOME", raising=False)
        yield models


def test_it_shows_all_scenes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(home)]) == 0
    said = capsys.readouterr().out
    for number, scene in enumerate(SCENES, start=1):
        assert f"\n{number}  {scene.__doc__}\n" in said
    assert "feature_store  away" in said and 'features="degraded"' in said
    assert max(map(len, said.splitlines())) <= 80


def test_it_records_what_it_shows(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it, or nothing: a demo that broke leaves the old recording."""
    kept = tmp_path / "demo.txt"
    monkeypatch.setattr("src.demo.__main__.RECORDING", kept)
    monkeypatch.setattr("src.demo.__main__.shown", str)
    assert main(["--home", str(home), "--record"]) == 0
    assert kept.read_text("utf-8").startswith("1  It runs, and it is ready\n")
    live = capsys.readouterr().out
    assert main(["--recorded"]) == 0
    played = capsys.readouterr().out.partition("\n\n")[2]
    assert played.strip() in live
    before = kept.read_text("utf-8")
    monkeypatch.setenv("FLIGHTS_KEY_PREFIX", "flights_test_of_nobody")
    assert main(["--home", str(home), "--record"]) == 1
    assert kept.read_text("utf-8") == before


@pytest.mark.parametrize(
    ("variable", "value", "code", "says"),
    [
        ("REDIS_URL", NOBODY, 69, "Redis does not answer at 127.0.0.1:9"),
        ("REDIS_URL", "unix:///nowhere", 1, "set REDIS_URL to one"),
        ("FLIGHTS_KEY_PREFIX", "flights_test_of_nobody", 1, "`python src/materialize.py`"),
        ("FLIGHTS_TIMEOUT_SECONDS", "soon", 1, "FLIGHTS_TIMEOUT_SECONDS='soon'"),
        ("FLIGHTS_HOME", "/nowhere", 1, "no trained model in /nowhere"),
    ],
)
def test_what_is_missing_is_told_in_one_sentence(
    variable: str, value: str, code: int, says: str, home: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("FLIGHTS_HOME", str(home))
    monkeypatch.setenv(variable, value)
    assert main([]) == code
    told = capsys.readouterr().err
    assert says in " ".join(told.split())
    assert PLAN_B.match(told.strip().splitlines()[-1])


def test_without_any_walk_it_says_where_it_looked(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backstage, "PROJECT", tmp_path / "project")
    monkeypatch.setattr(backstage, "WALKS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(backstage.DemoError, match=r"project or .*a or .*b\. Make one with"):
        backstage.trained(None)
    monkeypatch.setenv("MODEL_PATH", str(home / "models"))
    assert backstage.trained(None) == home / "models"


def test_it_asks_the_course_for_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    redis_url()
    monkeypatch.delenv("REDIS_URL", raising=False)
    assert backstage.redis_address().scheme == "redis"


def test_the_way_round_keeps_what_the_address_holds() -> None:
    address = backstage.urlsplit("redis://user:se%40cret@far.example:7000/3?protocol=3")
    assert backstage.through(address, 5) == "redis://user:se%40cret@127.0.0.1:5/3?protocol=3"


def test_the_recording_goes_on_at_a_scene(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(pauses=False)
    play(RECORDING.read_text("utf-8"), stage, first=len(SCENES))
    assert capsys.readouterr().out.startswith(f"{len(SCENES)}  {SCENES[-1].__doc__}\n")
    assert stage.lines.count("[Enter]") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has one folder for programs, Unix another")
def test_the_service_runs_in_the_serving_environment_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backstage, "PROJECT", tmp_path)
    assert backstage.serving_python() == backstage.sys.executable
    own = tmp_path / "environments" / "serving" / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.touch()
    assert backstage.serving_python() == str(own)
