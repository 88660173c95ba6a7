"""`dvc repro` from nothing with the parameters as they are: in time, and the figures we publish."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from src.paths import PROJECT

if TYPE_CHECKING:
    from conftest import Pipeline

LONGEST = 600.0  # seconds, on two cores
# Another processor adds floating-point numbers in another order, and may stop an epoch earlier.
NEAR = 0.03


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_the_default_run_is_quick_enough_and_says_what_we_say(full_size: Pipeline) -> None:
    began = time.monotonic()
    ran = full_size.run("dvc", "repro", seconds=1400)
    took = time.monotonic() - began
    assert ran.code == 0, ran.said
    figures = json.loads((full_size.home / "metrics/evaluation.json").read_text("utf-8"))
    measured = json.loads((PROJECT / "docs/measured.json").read_text("utf-8"))
    assert figures["test"]["flights"] == measured["test_flights"]
    for name, (mae, _, _) in measured["models"].items():
        assert figures["models"][name]["mae"] == pytest.approx(mae, rel=NEAR), name
    assert figures["models"]["ensemble"]["over_best"] <= 0.10
    assert took < LONGEST
