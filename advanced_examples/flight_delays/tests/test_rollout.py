"""What the canary decides, played through without a network: limits, evidence, steps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from src.rollout.limits import (
    ACCURACY,
    ERRORS,
    FALSE_ALARMS,
    LIMITS,
    P99,
    Seen,
    Verdict,
    judge,
    surely_over,
)
from src.rollout.progress import ENDS, NOBODY, Decision, Progress
from src.rollout.sides import BOUNDS, FALL, Backend, Side, place

STEPS = (0.1, 0.5, 1.0)
LOOKS, WINDOWS = 10, 3
GOOD = {ERRORS: Seen(0, 1000), P99: Seen(0, 1000), ACCURACY: Seen(50, 1000)}


def progress() -> Progress:
    return Progress(STEPS, LOOKS, WINDOWS)


def test_the_limits_are_the_promised_ones() -> None:
    assert {name: limit.most for name, limit in LIMITS.items()} == {
        ERRORS: 0.05, P99: 0.01, ACCURACY: 0.25,
    }  # fmt: skip
    assert 2.0 in BOUNDS  # else "slower than 2000 ms" could not be counted exactly


@pytest.mark.parametrize(("name", "spotless"), [(ERRORS, 59), (P99, 299), (ACCURACY, 11)])
def test_fewer_requests_than_asked_for_could_not_prove_a_limit(name: str, spotless: int) -> None:
    limit = LIMITS[name]
    assert (1 - limit.most) ** spotless <= 0.05 < (1 - limit.most) ** (spotless - 1)
    assert limit.least >= spotless


@given(st.integers(1, 2000), st.floats(0, 1), st.sampled_from([0.05, 0.01, 1e-4]))
def test_the_bound_is_that_of_clopper_and_pearson(of: int, share: float, chance: float) -> None:
    bad = round(share * of)
    exact = binomtest(bad, of, alternative="greater").proportion_ci(1 - chance, method="exact").low
    assert surely_over(Seen(bad, of), chance) == pytest.approx(exact, abs=1e-9)


def test_one_error_of_ten_proves_nothing_and_four_of_four_do() -> None:
    assert judge({ERRORS: Seen(1, 10)}, LOOKS, over=False).verdict is Verdict.OPEN
    assert judge({ERRORS: Seen(1, 10)}, LOOKS, over=True).verdict is Verdict.OPEN
    assert judge({ERRORS: Seen(4, 4)}, LOOKS, over=False).verdict is Verdict.BROKEN


@pytest.mark.parametrize(
    ("name", "seen", "verdict"),
    [
        (ERRORS, Seen(50, 1000), Verdict.HELD),  # 5 % is not more than 5 %
        (ERRORS, Seen(51, 1000), Verdict.BROKEN),
        (P99, Seen(10, 1000), Verdict.HELD),
        (P99, Seen(11, 1000), Verdict.BROKEN),
        (ACCURACY, Seen(250, 1000), Verdict.HELD),  # 0.75 is not under 0.75
        (ACCURACY, Seen(251, 1000), Verdict.BROKEN),
        (ACCURACY, Seen(0, 99), Verdict.OPEN),
    ],
)
def test_at_the_end_of_a_window_the_plain_figure_decides(
    name: str, seen: Seen, verdict: Verdict
) -> None:
    found = judge({**GOOD, name: seen}, LOOKS, over=True)
    assert found.verdict is verdict
    assert found.limit == ("" if verdict is Verdict.HELD else name)
    assert str(seen.of) in found.reason


def test_counts_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="errors: 3 bad ones of 2"):
        judge({ERRORS: Seen(3, 2)}, LOOKS, over=False)


def test_a_version_just_within_its_limits_is_seldom_stopped_too_soon() -> None:
    """At all three limits at once, looked at again and again: 1 step of 100 at most."""
    chance, steps, each = np.random.default_rng(5), 600, 40
    stopped = 0
    for _ in range(steps):
        bad = {
            name: np.cumsum(chance.binomial(each, limit.most, LOOKS))
            for name, limit in LIMITS.items()
        }
        stopped += any(
            judge({name: Seen(int(bad[name][look]), each * (look + 1)) for name in bad}, LOOKS,
                  over=False).verdict is Verdict.BROKEN
            for look in range(LOOKS)
        )  # fmt: skip
    # Three standard deviations above what is promised.
    assert stopped / steps <= FALSE_ALARMS + 3 * (FALSE_ALARMS / steps) ** 0.5


def test_a_good_version_goes_through_all_steps() -> None:
    going = progress()
    told = [going.look(GOOD, over=True) for _ in STEPS]
    assert [one.decision for one in told] == [Decision.ADVANCE, Decision.ADVANCE, Decision.FINISH]
    assert [one.share for one in told] == [0.5, 1.0, 1.0]
    with pytest.raises(RuntimeError):
        going.look(GOOD, over=True)


def test_too_little_traffic_waits_and_then_is_not_promoted() -> None:
    going = progress()
    little = GOOD | {P99: Seen(0, 299)}
    told = [going.look(little, over=True) for _ in range(WINDOWS)]
    assert [one.decision for one in told] == [Decision.WAIT, Decision.WAIT, Decision.GIVE_UP]
    assert [one.share for one in told] == [0.1, 0.1, NOBODY]
    assert "too little to judge p99 by: 299 of the 300" in told[-1].reason


def test_nothing_at_all_is_too_little() -> None:
    nothing = dict.fromkeys(LIMITS, Seen(0, 0))
    assert progress().look(nothing, over=True).decision is Decision.WAIT


counts = st.integers(0, 3000).flatmap(lambda of: st.builds(Seen, st.integers(0, of), st.just(of)))
fine = st.builds(Seen, st.integers(0, 3), st.integers(300, 3000))
looks = st.lists(
    st.tuples(st.fixed_dictionaries(dict.fromkeys(LIMITS, fine | counts)), st.booleans()),
    max_size=12,
)


@given(looks)
@settings(max_examples=150)
def test_the_share_rises_only_after_a_window_within_all_limits(
    seen: list[tuple[dict[str, Seen], bool]],
) -> None:
    going, share = progress(), STEPS[0]
    for counted, over in seen:
        told = going.look(counted, over)
        if told.share > share:
            assert over
            for name, limit in LIMITS.items():
                bad, of = counted[name]
                assert of >= limit.least and bad <= limit.most * of
            assert STEPS.index(told.share) == STEPS.index(share) + 1
        if told.decision in ENDS:
            assert told.share == (1.0 if told.decision is Decision.FINISH else NOBODY)
            return
        share = told.share


@given(looks, st.sampled_from(sorted(LIMITS)))
def test_a_version_that_breaks_a_limit_never_gets_past_the_first_step(
    seen: list[tuple[dict[str, Seen], bool]], broken: str
) -> None:
    """Whatever else is seen of it, at any look: more than the limit allows is bad."""
    going = progress()
    for counted, over in seen:
        of = counted[broken].of
        faulty = Seen(min(of, int(LIMITS[broken].most * of) + 1), of)
        told = going.look(counted | {broken: faulty}, over)
        assert told.share <= STEPS[0]
        if told.decision in ENDS:
            assert told.decision in (Decision.ROLL_BACK, Decision.GIVE_UP)
            return


def body(flight: str, **more: object) -> bytes:
    return json.dumps({"route": "JFK-LAX", "flight_id": flight, **more}).encode()


def test_a_flight_stays_on_its_side() -> None:
    assert place(body("AA1", airline="AA")) == place(body("AA1", airline="DL", tail_number="N1"))
    assert place(body("AA1")) != place(body("AA2")) != place(body("AA2"), salt="another")
    unnamed = b'{"route": "JFK-LAX"}'
    assert place(unnamed) == place(unnamed) != place(b'{"route": "JFK-ORD"}')


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_of_the_flights_is_the_share_asked_for(share: float) -> None:
    flights = 20_000
    there = sum(place(body(f"F{number}")) < share for number in range(flights))
    assert abs(there / flights - share) < 4 * (share * (1 - share) / flights) ** 0.5


@given(st.binary(max_size=60))
def test_places_lie_from_0_to_1_so_that_no_share_means_nobody(sent: bytes) -> None:
    assert 0 <= place(sent) < 1


def test_a_backend_is_down_after_two_failed_checks_and_up_after_one_good_one() -> None:
    backend = Backend("http://127.0.0.1:1")
    changes = [backend.checked(ready=False) for _ in range(FALL + 1)]
    assert changes == [False, True, False] and not backend.up
    assert backend.checked(ready=True) and backend.up
    backend.refused()
    assert not backend.up


def test_backends_take_turns_and_the_ones_that_are_down_come_last() -> None:
    one, two = Backend("one"), Backend("two")
    side = Side("stable", [one, two])
    assert {side.in_turn()[0].url for _ in range(2)} == {"one", "two"}
    one.refused()
    assert [[backend.url for backend in side.in_turn()] for _ in range(2)] == [["two", "one"]] * 2
    assert side.up
    two.refused()
    assert not side.up and len(side.in_turn()) == 2  # better than to give up unasked
