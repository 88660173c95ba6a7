"""A churn risk function.

Write `churn_risk`, a probability by hand:

    score = (recency - 90) / 60 - 0.2 * orders_90d        risk = 1 / (1 + e to the power of -score)

recency is days since the last order, orders_90d the orders of the last 90 days. It must work for
every number: e to the power of 1000 is too large for a float. A missing recency (None: never
ordered) has the risk 0.5: nobody knows. NaN is a ValueError: it would travel through everything
unseen.
"""


def churn_risk(recency: float | None, orders_90d: float) -> float:
    """The risk, from 0 to 1."""
    raise NotImplementedError("TODO: the score, and the logistic function")
