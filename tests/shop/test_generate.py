"""The generator: the same bytes everywhere, at any scale, and chance that meets its rates."""

import os
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from course.settings import ROOT
from course.shop import truths
from course.shop.__main__ import main
from course.shop.baskets import outlier_order_ids
from course.shop.dice import Dice, Share, apportion, deck
from course.shop.generate import batches, digest
from course.shop.people import kind_of, population


def digest_by(python: str, hash_seed: str = "0") -> str:
    """The digest that another process with the Python `python` comes to."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [python, "-m", "course.shop", "--hash"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=True,
    )
    return result.stdout.strip()


def find_python(version: str) -> str | None:
    """A working Python of that version on PATH (a shim that leads nowhere is none)."""
    found = shutil.which(f"python{version}")
    if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        return None
    return found


def test_default_data_is_pinned() -> None:
    assert digest() == truths.SHA256, "new data: put this digest into truths.SHA256, renew the docs"


def test_hash_seed_changes_nothing() -> None:
    assert digest_by(sys.executable, hash_seed="4711") == truths.SHA256


def test_other_pythons_make_the_same_data() -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    others = [find_python(version) for version in ("3.11", "3.12", "3.13") if version != own]
    found = [python for python in others if python]
    if not found:
        pytest.skip("no other Python 3.11 to 3.13 on PATH")
    assert {digest_by(python) for python in found} == {truths.SHA256}


def test_many_orders_are_streamed() -> None:
    scale = 50_000
    rows: Counter[str] = Counter()
    largest = 0
    for table, lines in batches(scale):
        rows[table] += len(lines)
        largest = max(largest, len(lines))
    assert rows["orders"] == scale
    assert rows["customers"] == scale // 10
    assert rows["products"] == 120
    assert rows["order_items"] == pytest.approx(2.5 * scale, rel=0.02)
    assert rows["web_events"] == pytest.approx(5 * scale, rel=0.02)
    assert largest < scale / 6, "a batch holds more than a month"


def test_rows_are_plain_lines_for_copy() -> None:
    for _, lines in batches(truths.SMALLEST_SCALE):
        for line in lines:
            assert line.endswith("\n") and line.isascii()
            assert "\\" not in line.replace("\\N", "")


@pytest.mark.parametrize("scale", [0, 999, 1_000_001])
def test_impossible_scale_is_refused(scale: int) -> None:
    with pytest.raises(ValueError, match="scale must be from"):
        next(batches(scale))


def test_apportion_gives_everything_away() -> None:
    for total in range(50):
        parts = apportion(total, [3, 0, 1, 5, 7])
        assert sum(parts) == total
        assert parts[1] == 0
    assert apportion(16, [3, 0, 1, 5, 7]) == [3, 0, 1, 5, 7]


def test_deck_meets_its_rates_exactly() -> None:
    cards = deck(Dice(1), {"a": 50, "b": 30, "c": 20})
    assert Counter(next(cards) for _ in range(70)) == {"a": 35, "b": 21, "c": 14}


def test_share_keeps_what_is_left_over() -> None:
    share = Share(1, 3)
    assert [share.of() for _ in range(7)] == [0, 0, 1, 0, 0, 1, 0]
    assert share.of(30) == 10


def test_dice_shuffle_keeps_everything() -> None:
    things = list(range(100))
    Dice(7).shuffle(things)
    assert things != list(range(100)) and sorted(things) == list(range(100))


def test_outliers_are_spread_evenly() -> None:
    numbers = outlier_order_ids(truths.DEFAULT_SCALE)
    assert len(numbers) == truths.DEFAULT_SCALE // truths.OUTLIER_EVERY
    assert {(number - 1) // truths.OUTLIER_EVERY for number in numbers} == set(range(40))


def test_kinds_are_known_by_number() -> None:
    people = population(truths.DEFAULT_SCALE)
    assert [kind_of(number) for number in (1, 2000)] == [people.kinds[0], people.kinds[-1]]


def test_dry_run_counts_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--scale", "1000"]) == 0
    out = capsys.readouterr().out
    assert "orders            1,000 rows" in out


def test_command_refuses_an_impossible_scale(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--scale", "7"])
    assert "from 1000 to 1000000" in capsys.readouterr().err
