"""Known values, both ends, and what isn't a number."""

import math

from course.exercises import expect, expect_error, require


def check_values(their):
    """Known values"""
    expect(their.churn_risk(90, 0), 0.5, "The score is 0: even odds.")
    expect(their.churn_risk(150, 0), 1 / (1 + math.exp(-1)), "The score is 1.")
    expect(their.churn_risk(0, 6), 1 / (1 + math.exp(2.7)), "The score is -1.5 - 1.2.")


def check_direction(their):
    """It rises with the days and falls with the orders"""
    rising = [their.churn_risk(days, 1) for days in range(0, 400, 10)]
    require(rising == sorted(set(rising)), "more days gave less risk, or the same")
    falling = [their.churn_risk(60, orders) for orders in range(20)]
    require(
        falling == sorted(set(falling), reverse=True), "more orders gave more risk, or the same"
    )


def check_ends(their):
    """Far away on both sides"""
    for recency, orders, wanted in ((1e6, 0, 1.0), (0, 1e6, 0.0), (-1e9, 0, 0.0)):
        try:
            risk = their.churn_risk(recency, orders)
        except OverflowError:
            require(
                False,
                f"churn_risk({recency:g}, {orders:g}) is too large for a float",
                "For a negative score use e^score / (1 + e^score), which is the same.",
            )
        expect(risk, wanted, f"churn_risk({recency:g}, {orders:g})")


def check_unknown(their):
    """Never ordered: nobody knows. Not a number: refused"""
    expect(their.churn_risk(None, 0), 0.5)
    for case in ((math.nan, 1), (1, math.nan)):
        with expect_error(ValueError, "math.isnan tells; NaN compares with nothing."):
            their.churn_risk(*case)
