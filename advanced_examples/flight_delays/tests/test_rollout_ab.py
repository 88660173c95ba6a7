"""Two versions compared: intervals that hold the truth, and what the command says of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from api_kit import redis_url
from redis import Redis
from scipy import stats

from src import bundle, paths
from src.monitoring.outcomes import Judged
from src.packed import remove
from src.rollout import ab
from src.rollout.comparison import Comparison, Difference, paired, split

V = ("v1", "v2")
WANTED = (0.2, 0.01)


def flights(
    chance: np.random.Generator, days: int = 60, each: int = 40, better: float = 1.0,
    shared: float = 0.0,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Delays, both predictions (errors of 8 and 8 - `better` minutes) and days; `shared` is what
    a day's weather adds to the first version's errors alone."""
    day = np.repeat(np.arange(days), each)
    target = chance.normal(10, 20, days * each)
    weather = np.repeat(chance.normal(0, shared, days), each)
    first = target + np.abs(8 + weather) * chance.choice([-1, 1], len(day))
    second = target + (8 - better) * chance.choice([-1, 1], len(day))
    return target, first, second, day


def test_a_difference_is_found_and_its_size_is_right() -> None:
    found = paired(*flights(np.random.default_rng(1)), *WANTED)
    assert found.error.sure and found.error.low <= 1.0 <= found.error.high
    assert found.error.difference == pytest.approx(1.0)
    assert "v2 is better: its mean error is 1.00 minutes smaller" in ab.verdict(V, found)


def test_equal_versions_are_seldom_told_apart() -> None:
    """95 % intervals miss in 5 cases of 100: of 100 that is 5, give or take three times 2."""
    chance, wrong = np.random.default_rng(2), 0
    for _ in range(100):
        target, first, _, day = flights(chance, days=30, each=10)
        second = chance.permuted(first - target) + target
        wrong += paired(target, first, second, day, *WANTED).error.sure
    assert wrong <= 12


def test_days_with_a_weather_of_their_own_widen_the_interval() -> None:
    """2,400 flights of 60 days that share their weather are no 2,400 witnesses."""
    target, first, second, day = flights(np.random.default_rng(3), shared=3.0)
    by_day = paired(target, first, second, day, *WANTED).error
    by_flight = paired(target, first, second, np.zeros(len(day)), *WANTED).error
    assert by_day.high - by_day.low > 3 * (by_flight.high - by_flight.low)
    assert by_day.needed > 9 * by_flight.needed


def test_few_days_are_said_to_be_few() -> None:
    found = paired(*flights(np.random.default_rng(4), days=5), *WANTED)
    assert "only 5 days" in found.remark


def test_a_split_needs_many_times_the_flights_of_pairs() -> None:
    chance = np.random.default_rng(5)
    target, first, _, day = flights(chance, days=60)
    first = target + chance.normal(0, 10, len(target))
    second = target + (first - target) * 0.97
    pairs = paired(target, first, second, day, *WANTED)
    halves = split((target, target), (first, second), *WANTED)
    assert pairs.error.sure and not halves.error.sure
    assert halves.error.needed > 20 * pairs.error.needed


def test_the_needed_flights_show_the_wanted_difference_in_four_of_five_trials() -> None:
    chance, wanted = np.random.default_rng(6), 0.5
    target = chance.normal(10, 20, 500)
    first, second = (target + chance.normal(0, 6, 500) for _ in range(2))
    needed = split((target, target), (first, second), wanted, 0.01).error.needed
    spread = np.abs(first - target).std()
    seen = 0
    for _ in range(200):
        one, other = (chance.normal(middle, spread, needed) for middle in (5.0, 5.0 + wanted))
        seen += stats.ttest_ind(one, other, equal_var=False).pvalue < 0.05
    assert 0.7 <= seen / 200 <= 0.9


def test_accuracies_are_compared_by_who_was_right() -> None:
    """Only flights that one version called rightly and the other did not count (McNemar)."""
    late, on_time = 30.0, 0.0
    target = np.full(1000, late)
    first, second = target.copy(), target.copy()
    first[:80] = on_time
    second[80:100] = on_time
    found = paired(target, first, second, np.arange(1000) % 50, *WANTED)
    assert (found.accuracy.first, found.accuracy.second) == (0.92, 0.98)
    assert found.chance == pytest.approx(stats.binomtest(80, 100).pvalue)
    assert found.accuracy.difference == pytest.approx(-0.06) and found.accuracy.sure


def test_newcombes_interval_is_that_of_his_paper() -> None:
    """56 of 70 against 48 of 80: 0.0524 to 0.3339 (Newcombe 1998, method 10)."""
    late = [np.where(np.arange(size) < hits, 30.0, 0.0) for hits, size in ((56, 70), (48, 80))]
    truth = (np.full(70, 30.0), np.full(80, 30.0))
    found = split(truth, (late[0], late[1]), *WANTED).accuracy
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def made(error: tuple[float, float, float], accuracy: tuple[float, float, float]) -> Comparison:
    """A comparison with these differences and intervals."""
    one, two = (Difference(10, 10, *given, 0.2, 1000) for given in (error, accuracy))
    return Comparison("paired", (500, 500), one, two, 0.5, "")


@pytest.mark.parametrize(
    ("error", "accuracy", "says"),
    [
        ((0.1, -0.2, 0.3), (0.0, -0.1, 0.1), "No difference can be seen"),
        ((0.5, 0.2, 0.8), (0.0, -0.1, 0.1), "v2 is better: its mean error is 0.50 minutes"),
        ((0.0, -0.1, 0.1), (0.02, 0.01, 0.03), "v1 is better: its accuracy is 2.0 points"),
        ((0.5, 0.2, 0.8), (-0.02, -0.03, -0.01), "v2 is better: its mean error is 0.50 min"),
        ((0.5, 0.2, 0.8), (0.02, 0.01, 0.03), "Decide what matters: of v2, its mean error"),
    ],
)
def test_the_verdict_is_one_plain_sentence(
    error: tuple[float, float, float], accuracy: tuple[float, float, float], says: str
) -> None:
    assert ab.verdict(V, made(error, accuracy)).startswith(says)


def test_flights_that_both_predicted_are_paired_else_the_sides_are_compared() -> None:
    def said(flight: int, version: str, off: float) -> Judged:
        return Judged(f"F{flight}", version, "AA", "JFK-LAX", off, 0.0, 86_400.0 * (flight % 30))

    both = [said(flight, name, off) for flight in range(200)
            for name, off in (("v1", 4.0 + flight % 3), ("v2", 3.0 + flight % 3))]  # fmt: skip
    assert ab.compared(V, both, *WANTED).design == "paired"
    apart = [one for one in both if (one.flight_id[-1] in "02468") == (one.version == "v1")]
    assert ab.compared(V, apart, *WANTED).design == "split"
    with pytest.raises(ab.ComparisonError, match=r"v1: 200, v2: 0"):
        ab.compared(V, [one for one in both if one.version == "v1"], *WANTED)


@pytest.fixture
def two(trained_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home with two versions: the trained one, and the same with other weights."""
    monkeypatch.setenv("FLIGHTS_HOME", str(tmp_path))
    (tmp_path / "data").symlink_to(trained_home / "data")
    name = (trained_home / "models" / bundle.CHAMPION).read_text().strip()
    for version, weights in (("v1", (0.6, 0.4)), ("v2", (0.0, 1.0))):
        folder = shutil.copytree(trained_home / "models" / name, tmp_path / "models" / version)
        about = json.loads((folder / bundle.ABOUT).read_text())
        about |= {"version": version, "weights": dict(zip(("xgboost", "network"), weights,
                                                          strict=True))}  # fmt: skip
        (folder / bundle.ABOUT).write_text(json.dumps(about))
    return tmp_path


def test_past_flights_are_those_that_neither_version_has_learnt_from(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ab.main(["v1", "v2", "--json", str(two / "ab.json")]) == 0
    said = capsys.readouterr().out
    figures = json.loads((two / "ab.json").read_text())
    assert "v1 and v2, paired:" in said and said.strip().endswith(figures["verdict"])
    last = bundle.describe(paths.models() / "v1")["trained_on"]["validation"]["last"]
    assert (ab.past(V).days > last).all()
    # All that was there is theirs now: nothing is left to judge by.
    about = bundle.describe(two / "models" / "v2")
    about["trained_on"]["train"]["last"] = "2099-01-01"
    (two / "models" / "v2" / bundle.ABOUT).write_text(json.dumps(about))
    assert ab.main(["v1", "v2"]) == 1
    assert "no flight is later than 2099-01-01" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["v1", "v9"], "v9"),
        (["v1", "v2", "--landed"], "too few flights have landed"),
    ],
)
def test_what_cant_be_compared_says_why(
    two: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    given: list[str], says: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("REDIS_URL", redis_url())
    monkeypatch.setenv("FLIGHTS_KEY_PREFIX", "flights_test_ab_nothing")
    assert ab.main(given) == 1
    assert says in capsys.readouterr().err
    with Redis.from_url(redis_url()) as client:
        remove(client, "flights_test_ab_nothing")


def test_without_redis_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    assert ab.main(["v1", "v2", "--landed"]) == 1
    assert "can't be used" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        ab.main(["v1", "v1"])
