"""BG/NBD and Gamma-Gamma: against integrals done numerically, simulated customers, extremes."""

import math
from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betaln, gammaln, roots_genlaguerre, roots_jacobi
from shop_profile.lifetime import (
    BgNbd,
    GammaGamma,
    LifetimeModel,
    fit_bgnbd,
    fit_gamma_gamma,
    fit_lifetime,
)
from shop_profile.simulation import simulate

from tests.support import load_lesson

lesson = load_lesson("advanced_examples/data_services/05_realworld_data_science.py")
MODELS = [
    BgNbd(0.8, 4.5, 0.6, 1.8),
    BgNbd(0.243, 4.414, 0.793, 2.426),  # CDNOW, the example of the paper
    BgNbd(1.0, 6.4, 0.19, 2.4),
    BgNbd(2.5, 3.0, 1.7, 0.6),
]
HISTORIES = [(0, 0.0, 20.0), (1, 3.0, 30.0), (5, 25.0, 26.0), (12, 20.0, 90.0), (60, 150.0, 156.0)]
VALUES = GammaGamma(3.0, 6.0, 100.0)
positive = st.floats(0.05, 20)
models = st.builds(BgNbd, r=positive, alpha=positive, a=positive, b=positive)


@st.composite
def histories(draw: st.DrawFn, most: int = 3_000) -> tuple[int, float, float]:
    """x, t_x and age that can be: no repeat purchase, no time between first and last."""
    age = draw(st.floats(0, 1_500))
    x = draw(st.integers(0, most)) if age > 0 else 0
    return x, (draw(st.floats(0, 1)) * age if x else 0.0), age


def integrated_likelihood(model: BgNbd, x: int, t_x: float, age: float) -> float:
    """Likelihood of a history, averaged over purchase rates and chances to leave by quadrature."""

    def rates(until: float) -> float:
        def at(rate: float) -> float:
            log = (model.r + x - 1) * math.log(rate) - (model.alpha + until) * rate
            return math.exp(log + model.r * math.log(model.alpha) - gammaln(model.r))

        return sum(quad(at, *ends, limit=200)[0] for ends in ((0, 1), (1, 10), (10, np.inf)))

    def chances(left: int) -> float:
        def at(p: float) -> float:
            log = (model.a - 1 + left) * math.log(p) + (model.b + x - 1 - left) * math.log1p(-p)
            return math.exp(log - betaln(model.a, model.b))

        return quad(at, 0, 0.5, limit=200)[0] + quad(at, 0.5, 1, limit=200)[0]

    stayed = chances(0) * rates(age)
    return stayed + chances(1) * rates(t_x) if x else stayed


def integrated_forecast(model: BgNbd, x: int, t_x: float, age: float, weeks: float) -> float:
    """Expected purchases of one who stayed, (1 - exp(-rate p weeks)) / p averaged by quadrature."""
    rate, rate_weight = roots_genlaguerre(80, model.r + x - 1)
    p, p_weight = roots_jacobi(80, model.b + x - 1, model.a - 1)
    rate, p = rate[:, None] / (model.alpha + age), (p[None, :] + 1) / 2
    weights = rate_weight[:, None] * p_weight[None, :]
    return float((-np.expm1(-rate * p * weeks) / p * weights).sum() / weights.sum())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("history", HISTORIES)
def test_the_likelihood_is_the_integral_that_the_paper_defines(
    model: BgNbd, history: tuple[int, float, float]
) -> None:
    expected = math.log(integrated_likelihood(model, *history))
    assert float(model.log_likelihood(*history)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("history", HISTORIES)
def test_the_forecast_is_the_integral_that_the_paper_defines(
    model: BgNbd, history: tuple[int, float, float]
) -> None:
    x, _, age = history
    likelihood = integrated_likelihood(model, *history)
    stayed = math.exp(
        gammaln(model.r + x) - gammaln(model.r) + model.r * math.log(model.alpha)
        - (model.r + x) * math.log(model.alpha + age)
        + betaln(model.a, model.b + x) - betaln(model.a, model.b)
    )  # fmt: skip
    alive = stayed / likelihood
    assert float(model.alive(*history)) == pytest.approx(alive, rel=1e-5)
    for weeks in (1.0, 52.0, 260.0):
        expected = alive * integrated_forecast(model, *history, weeks)
        assert float(model.expected(*history, weeks)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("a", [1 - 1e-9, 1.0, 1 + 1e-9])
def test_where_the_closed_form_divides_by_zero_it_goes_through_smoothly(a: float) -> None:
    near = [float(BgNbd(0.8, 4.5, c, 1.8).expected(3, 10.0, 20.0, 52)) for c in (0.999, 1.001)]
    found = float(BgNbd(0.8, 4.5, a, 1.8).expected(3, 10.0, 20.0, 52))
    assert found == pytest.approx(sum(near) / 2, rel=1e-4)
    never_again = float(BgNbd(0.8, 4.5, a / 2, 1 - a / 2).expected(0, 0.0, 20.0, 52))
    assert never_again == pytest.approx(
        float(BgNbd(0.8, 4.5, a / 2, 1.0001 - a / 2).expected(0, 0.0, 20.0, 52)), rel=1e-3
    )


@settings(deadline=None, max_examples=300)
@given(models, histories(), st.floats(0.1, 520))
def test_every_history_has_a_finite_forecast(
    model: BgNbd, history: tuple[int, float, float], weeks: float
) -> None:
    forecast, alive = float(model.expected(*history, weeks)), float(model.alive(*history))
    assert math.isfinite(model.log_likelihood(*history))
    assert 0 <= alive <= 1
    assert -1e-9 <= forecast < math.inf
    # Who stays for sure buys at the posterior rate: leaving can only take from it.
    x, _, age = history
    assert forecast <= (model.r + x) / (model.alpha + age) * weeks * (1 + 1e-6)
    assert float(model.expected(*history, weeks * 2)) >= forecast * (1 - 1e-9) - 1e-9


@settings(deadline=None, max_examples=100)
@given(models, histories(most=300), st.floats(1, 300))
def test_the_longer_silent_the_less_likely_still_there(
    model: BgNbd, history: tuple[int, float, float], later: float
) -> None:
    x, t_x, age = history
    assert float(model.alive(x, t_x, age + later)) <= float(model.alive(x, t_x, age)) + 1e-12


@pytest.mark.parametrize(("count", "mean"), [(1, 20.0), (4, 130.0), (200, 65.0)])
def test_gamma_gamma_is_the_integral_that_the_note_defines(count: int, mean: float) -> None:
    p, q, gamma = VALUES.p, VALUES.q, VALUES.gamma

    def at(rate: float) -> float:
        """Density of the mean of `count` purchases at this rate, times the density of the rate."""
        shape, scaled = p * count, count * rate
        of_mean = shape * math.log(scaled) + (shape - 1) * math.log(mean) - scaled * mean
        of_rate = q * math.log(gamma) + (q - 1) * math.log(rate) - gamma * rate
        return math.exp(of_mean - gammaln(shape) + of_rate - gammaln(q))

    peak = (p * count + q - 1) / (count * mean + gamma)
    ends = [0, peak / 2, peak, 2 * peak, 20 * peak]
    pieces = list(pairwise(ends))
    density = sum(quad(at, *piece, limit=200)[0] for piece in pieces)
    assert float(VALUES.log_likelihood(count, mean)) == pytest.approx(math.log(density), abs=1e-6)
    euros = sum(quad(lambda rate: at(rate) * p / rate, *piece, limit=200)[0] for piece in pieces)
    assert float(VALUES.expected(count, mean)) == pytest.approx(euros / density, rel=1e-6)


def test_parameters_are_recovered(seed: int) -> None:
    """From 3,000 customers; b and gamma are the ones that such a crowd knows least about."""
    truth = MODELS[0]
    made = simulate(3_000, truth, VALUES, np.random.default_rng(seed))
    found = fit_bgnbd(made["x"], made["t_x"], made["age"])
    spent = fit_gamma_gamma(made["x"] + 1, made["value"])
    assert found.r == pytest.approx(truth.r, rel=0.15)
    assert found.alpha == pytest.approx(truth.alpha, rel=0.25)
    assert found.a == pytest.approx(truth.a, rel=0.35)
    assert found.b == pytest.approx(truth.b, rel=0.5)
    assert found.r / found.alpha == pytest.approx(truth.r / truth.alpha, rel=0.12)
    assert found.a / (found.a + found.b) == pytest.approx(0.25, rel=0.12)
    assert spent.p * spent.gamma / (spent.q - 1) == pytest.approx(60, rel=0.05)
    assert spent.q == pytest.approx(VALUES.q, rel=0.3)


def test_lesson_and_package_find_the_same_parameters() -> None:
    made = simulate(1_000, MODELS[0], VALUES, np.random.default_rng(1))
    bought, spent = lesson.fit_lifetime(made)
    same_bought = fit_bgnbd(made["x"], made["t_x"], made["age"])
    same_spent = fit_gamma_gamma(made["x"] + 1, made["value"])
    assert astuple(bought) == pytest.approx(astuple(same_bought), rel=1e-3)
    assert astuple(spent) == pytest.approx(astuple(same_spent), rel=1e-3)


@settings(deadline=None, max_examples=100)
@given(models, histories())
def test_lesson_and_package_have_the_same_likelihood(
    model: BgNbd, history: tuple[int, float, float]
) -> None:
    parameters = (model.r, model.alpha, model.a, model.b)
    same = float(model.log_likelihood(*history))
    assert float(lesson.bgnbd_log_likelihood(*history, *parameters)) == pytest.approx(same)


def test_long_histories_don_t_disturb_the_fit() -> None:
    made = simulate(500, MODELS[0], VALUES, np.random.default_rng(3))
    extreme = np.array([(5_000, 155.0, 156.0), (2_000, 1.0, 900.0), (0, 0.0, 0.0)])
    x, t_x, age = np.vstack([np.column_stack([made["x"], made["t_x"], made["age"]]), extreme]).T
    found = fit_bgnbd(x, t_x, age)
    assert np.isfinite(found.expected(x, t_x, age, 52)).all()


def test_customers_who_tell_nothing_are_refused() -> None:
    alike = np.ones(50)
    with pytest.raises(ValueError, match="needs more of them"):
        fit_bgnbd(0 * alike, 0 * alike, 20 * alike)
    with pytest.raises(ValueError, match="needs more of them"):
        fit_gamma_gamma(alike, 20 * alike)
    with pytest.raises(ValueError, match="too few"):
        fit_lifetime([], [])


def test_a_value_is_purchases_times_euros_times_the_correction() -> None:
    from shop_profile.history import Behaviour

    model = LifetimeModel(MODELS[0], VALUES, correction=0.8, newcomers=(6.0, -0.5))
    customer = Behaviour(400, 30, 5, 3, 4, 350, 60.0)
    count = float(MODELS[0].expected(3, (350 - 30) / 7, 350 / 7, 365 / 7))
    assert model.value(customer) == pytest.approx(count * 0.8 * float(VALUES.expected(4, 60.0)))
    newcomers = [model.value(Behaviour(days, days, 0, 0, 0, 0, 0.0)) for days in (0, 10, 400)]
    assert newcomers == sorted(newcomers, reverse=True)
    assert newcomers[0] == pytest.approx(math.exp(6))
