"""Shares at the edges, known indices, empty buckets."""

import math

from course.exercises import expect, expect_error

EDGES = [0, 10, 20, 30]


def check_shares(their):
    """Each value is in one bucket"""
    expect(their.shares([1, 2, 15, 29], EDGES), [0.5, 0.25, 0.25])
    expect(their.shares([10, 20], EDGES), [0.0, 0.5, 0.5], "An edge begins a bucket.")
    expect(their.shares([-5, 30, 99, 5], EDGES), [0.5, 0.0, 0.5], "Outside: first or last bucket.")


def check_nothing(their):
    """No values have no shares"""
    with expect_error(ValueError, "Nothing can't be divided by nothing."):
        their.shares([], EDGES)


def check_same(their):
    """The same distribution: 0"""
    expect(their.psi([1, 11, 21], [2, 12, 22, 3, 13, 23], EDGES), 0.0)


def check_known(their):
    """Half and half against one and three quarters"""
    found = their.psi([5, 15], [5, 15, 15, 15], [0, 10, 20])
    expect(found, -0.25 * math.log(0.5) + 0.25 * math.log(1.5), "(a - e) * ln(a / e), added up.")


def check_empty_bucket(their):
    """An empty bucket is a small number, not an error"""
    found = their.psi([5, 15], [5, 5], [0, 10, 20])
    e, a = 0.5, 0.0001
    wanted = (1 - e) * math.log(1 / e) + (a - e) * math.log(a / e)
    expect(found, wanted, "A share below 0.0001 counts as 0.0001.")


def check_judge(their):
    """Steady, warning, critical"""
    expect(
        [their.judge(x) for x in (0.0, 0.099, 0.1, 0.249, 0.25, 3.0)],
        ["steady", "steady", "warning", "warning", "critical", "critical"],
    )
