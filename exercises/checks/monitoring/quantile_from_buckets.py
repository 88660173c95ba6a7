"""A line through a bucket, and the edges."""

import math

from course.exercises import expect, expect_error, require

INF = math.inf
BUCKETS = [(0.1, 20), (0.5, 80), (1.0, 100), (INF, 100)]


def check_line(their):
    """Inside a bucket: a straight line"""
    expect(their.quantile(0.5, BUCKETS), 0.3, "Rank 50 is half way from 20 to 80: 0.1 to 0.5.")
    expect(their.quantile(0.95, BUCKETS), 0.875, "Rank 95 is three quarters from 80 to 100.")


def check_first(their):
    """The first bucket begins at 0"""
    expect(their.quantile(0.1, BUCKETS), 0.05)


def check_edges(their):
    """At the edges"""
    expect(their.quantile(0.2, BUCKETS), 0.1, "Rank 20 is the end of the first bucket.")
    expect(their.quantile(1, BUCKETS), 1.0)
    expect(their.quantile(0, BUCKETS), 0.0)
    expect(their.quantile(0.5, [(1.0, 0), (2.0, 10), (INF, 10)]), 1.5, "An empty first bucket.")


def check_beyond(their):
    """Beyond the last bound: the highest finite one"""
    expect(their.quantile(0.99, [(0.1, 5), (1.0, 10), (INF, 100)]), 1.0, "There is no line there.")


def check_nothing(their):
    """No observations: NaN"""
    value = their.quantile(0.5, [(1.0, 0), (INF, 0)])
    require(math.isnan(value), f"expected nan, got {value}", "Nobody knows: not 0.")


def check_wrong(their):
    """q is between 0 and 1"""
    for q in (-0.1, 1.1, 95):
        with expect_error(ValueError, f"q={q} is no quantile."):
            their.quantile(q, BUCKETS)
