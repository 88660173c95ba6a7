"""The pipeline's parameters: params.yaml, which DVC watches too, read and checked in one place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from src.paths import PROJECT

MOST_FLIGHTS = 1_000_000
FEWEST_FLIGHTS = 2_000


class ParamsError(Exception):
    """params.yaml can't be used; the text says what is wrong with it."""


def load(path: Path | None = None, *, flights: int | None = None) -> dict[str, Any]:
    """All parameters, by section; `flights` (from a command line) wins over the file.

    Raises:
        ParamsError: the file is missing, is no YAML, or holds a value that can't be.
    """
    file = path or Path(os.environ.get("FLIGHTS_PARAMS") or PROJECT / "params.yaml")
    try:
        params = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(
            f"{file} is missing. FLIGHTS_PARAMS names another file; without it the project's "
            "own params.yaml is used."
        ) from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{file} is not YAML: {error}") from error
    if not isinstance(params, dict):
        raise ParamsError(f"{file} must hold names and values, such as `flights: 200000`.")
    if flights is not None:
        params["flights"] = flights
    check(params, file)
    return params


def check(params: dict[str, Any], file: Path) -> None:
    """Refuse what no stage could work with."""
    missing = [name for name in ("flights", "seed", "split") if name not in params]
    if missing:
        raise ParamsError(f"{file} lacks {', '.join(missing)}.")
    flights, shares = params["flights"], params["split"]
    if not isinstance(flights, int) or not FEWEST_FLIGHTS <= flights <= MOST_FLIGHTS:
        raise ParamsError(
            f"flights must be a whole number from {FEWEST_FLIGHTS:,} to {MOST_FLIGHTS:,}, "
            f"not {flights!r}."
        )
    named = isinstance(shares, dict) and list(shares) == ["train", "validation", "test"]
    if not named or abs(sum(shares.values()) - 1) > 1e-9:
        raise ParamsError(
            f"split must give the shares of train, validation and test, 1 in sum, not {shares}."
        )
