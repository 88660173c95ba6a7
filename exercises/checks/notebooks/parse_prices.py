"""Three habits, and everything that is no price."""

import math

import pandas as pd

from course.exercises import expect, require


def parsed(their, *typed):
    """What became of the texts, as a list."""
    return their.parse_prices(pd.Series(list(typed), dtype=object)).tolist()


def check_habits(their):
    """The three habits"""
    expect(
        parsed(their, "1.299,00 €", "EUR 1,299.00", "1299"),
        [1299.0, 1299.0, 1299.0],
        "All three are one thousand two hundred and ninety-nine.",
    )


def check_cents(their):
    """Cents, and thousands without cents"""
    expect(
        parsed(their, "0,99", "12.50 €", "1.299", "2,000,000.05", " 7 "),
        [0.99, 12.5, 1299.0, 2000000.05, 7.0],
        '"1.299" has three digits after the dot: the dot is decoration.',
    )


def check_nothing(their):
    """No price is NaN"""
    prices = parsed(their, "on request", "", None, float("nan"), "€")
    require(
        all(isinstance(price, float) and math.isnan(price) for price in prices),
        f"expected five times nan, got {prices}",
        "A price that nobody knows is not 0: it would pull every average down.",
    )


def check_index(their):
    """The index stays, and the given Series isn't changed"""
    typed = pd.Series(["5,00", "x"], index=["tea", "cup"])
    prices = their.parse_prices(typed)
    expect(list(prices.index), ["tea", "cup"])
    expect(typed.tolist(), ["5,00", "x"], "Work on a copy: the raw data stays as it was.")
    expect(str(prices.dtype), "float64", "The dtype of the result.")
