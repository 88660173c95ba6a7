"""Customers who do exactly what BG/NBD and Gamma-Gamma assume, to see whether a fit finds them."""

import numpy as np

from shop_profile.lifetime import BgNbd, GammaGamma

YOUNGEST, OLDEST = 26.0, 156.0  # weeks since the first purchase


def simulate(
    customers: int, purchases: BgNbd, values: GammaGamma, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """x, t_x and age in weeks, and the mean value of the x + 1 purchases, (customers,) each."""
    rows = []
    for _ in range(customers):
        rate = rng.gamma(purchases.r, 1 / purchases.alpha)
        leaves = rng.beta(purchases.a, purchases.b)
        scale = 1 / rng.gamma(values.q, 1 / values.gamma)
        x, t_x, age = 0, 0.0, rng.uniform(YOUNGEST, OLDEST)
        while (then := t_x + rng.exponential(1 / rate)) <= age:
            x, t_x = x + 1, then
            if rng.random() < leaves:
                break
        rows.append((x, t_x, age, rng.gamma(values.p, scale, x + 1).mean()))
    return dict(zip(("x", "t_x", "age", "value"), np.array(rows).T, strict=True))
