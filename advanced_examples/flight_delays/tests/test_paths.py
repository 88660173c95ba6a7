"""Where the pipeline reads and writes, and what moves it."""

from pathlib import Path

import pytest

from src import paths


def test_all_lies_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DATA_PATH", raising=False)
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    assert paths.raw() == tmp_path / "data" / "raw"
    assert paths.models() == tmp_path / "models"


def test_data_may_lie_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATA_PATH", str(tmp_path / "volume"))
    assert paths.raw() == tmp_path / "volume" / "raw"
    assert paths.processed() == tmp_path / "volume" / "processed"
    assert paths.models() == tmp_path / "home" / "models"
