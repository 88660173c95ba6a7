"""Somebody without orders, somebody without an address, somebody with two."""

import pandas as pd

from course.exercises import expect, require

CUSTOMERS = pd.DataFrame({"customer_id": [3, 1, 2, 4], "name": ["Cem", "Ann", "Bob", "Dia"]})
ORDERS = pd.DataFrame({"order_id": [1, 2, 3], "customer_id": [1, 1, 3], "total": [10.0, 5.0, 7.0]})
ADDRESSES = pd.DataFrame({"customer_id": [1, 1, 2, 3], "city": ["Kyiv", "Lviv", "Cork", "Izmir"]})


def frame(their):
    """What the student's function makes of the small tables."""
    return their.spend_per_customer(CUSTOMERS.copy(), ORDERS.copy(), ADDRESSES.copy())


def check_everybody(their):
    """Everybody is there once, in the same order"""
    expect(
        frame(their)["customer_id"].tolist(),
        [3, 1, 2, 4],
        "merge keeps only those found on both sides (how='inner'), and makes a row of each pair.",
    )


def check_spent(their):
    """Those who never ordered spent 0.0"""
    expect(frame(their)["spent"].tolist(), [7.0, 15.0, 0.0, 0.0], "NaN is not 0: fillna(0.0).")


def check_city(their):
    """The first address counts; none is no city"""
    cities = frame(their)["city"].tolist()
    expect(cities[:3], ["Izmir", "Kyiv", "Cork"], "Ann has two addresses: Kyiv is the first.")
    require(pd.isna(cities[3]), f"Dia has no address, and got {cities[3]!r}")


def check_average(their):
    """The average is over all customers"""
    expect(float(frame(their)["spent"].mean()), 5.5, "22 euros, four customers.")
