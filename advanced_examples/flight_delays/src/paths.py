"""Where the pipeline reads and writes: everything it makes lies under one home folder."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The folder of data, models and reports: FLIGHTS_HOME, or the project itself."""
    return Path(os.environ.get("FLIGHTS_HOME") or PROJECT).resolve()


def data() -> Path:
    """The folder of raw and processed data: DATA_PATH, or `data` in the home folder."""
    return Path(os.environ.get("DATA_PATH") or home() / "data").resolve()


def raw() -> Path:
    """Data as it came in: from the simulator or from files."""
    return data() / "raw"


def processed() -> Path:
    """Cleaned data and features."""
    return data() / "processed"


def models() -> Path:
    """Trained models, as files that the service loads."""
    return home() / "models"


def reports() -> Path:
    """Pages and charts for people."""
    return home() / "reports"


def metrics() -> Path:
    """Figures for `dvc metrics`."""
    return home() / "metrics"


def plots() -> Path:
    """Points for `dvc plots`."""
    return home() / "plots"


def shown(path: Path) -> str:
    """`path` as people should read it: relative to the home folder where it lies inside."""
    return str(path.relative_to(home())) if path.is_relative_to(home()) else str(path)
