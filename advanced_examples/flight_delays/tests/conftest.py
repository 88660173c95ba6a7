"""What all tests share: one thread a library, `--full`, and one small home for the whole session.

A simulation takes seconds however few flights it has, since the weather has every hour of three
years: tests that only need some data take these.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Before anything loads numpy. Several tests run at once on few cores: threads that wait for each
# other would take what the others need.
for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

FLIGHTS = 12_000
# Less to learn, so that it takes seconds: how well is the walk's subject.
SMALLER = {
    "xgboost": {"n_estimators": 40, "max_depth": 4, "learning_rate": 0.15},
    "network": {"layers": [32, 16], "epochs": 4, "batch_size": 64, "learning_rate": 0.003},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also what is marked long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only --full wants."""
    long = [item for item in items if item.get_closest_marker("long")]
    if long and not config.getoption("full"):
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


@contextmanager
def at_home(home: Path) -> Iterator[Path]:
    """FLIGHTS_HOME and FLIGHTS_PARAMS lead to `home` while the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLIGHTS_HOME", str(home))
        patch.setenv("FLIGHTS_PARAMS", str(home / "params.yaml"))
        yield home


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with raw data, splits, views and features of FLIGHTS flights. Change nothing here."""
    from src import feature_eng, params, preprocess, simulate

    folder = tmp_path_factory.mktemp("home")
    chosen = params.load(flights=FLIGHTS)
    for section, values in SMALLER.items():
        chosen[section] |= values
    (folder / "params.yaml").write_text(json.dumps(chosen), encoding="utf-8")  # JSON is YAML
    with at_home(folder):
        for stage in (simulate, preprocess, feature_eng):
            assert stage.main([]) == 0
    return folder


@pytest.fixture(scope="session")
def trained_home(home: Path) -> Path:
    """The same home with a model, judged and compared; its first version answers."""
    from src import compare_models, evaluate, train

    with at_home(home):
        for stage in (train, evaluate, compare_models):
            assert stage.main([]) == 0
    return home
