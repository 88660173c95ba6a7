"""One at a time, in any parts, far from zero, and with nothing in it."""

import math
import random
import statistics

from course.exercises import expect, require

VALUES = [random.Random(7).uniform(-50, 50) for _ in range(200)]


def moments(their, values):
    """The moments of `values`, added one at a time."""
    result = their.Moments()
    for value in values:
        result.add(value)
    return result


def check_add(their):
    """One value at a time"""
    found = moments(their, [2.0, 4.0, 9.0])
    expect((found.count, found.mean, found.m2), (3, 5.0, 26.0), "(count, mean, m2) of 2, 4, 9")
    expect(found.variance, 13.0, "m2 / (count - 1)")


def check_few(their):
    """Fewer than two values have no variance"""
    for values in ([], [5.0]):
        variance = moments(their, values).variance
        require(math.isnan(variance), f"the variance of {values} is {variance}, it should be nan")


def check_merge(their):
    """Any two parts make the whole"""
    for cut in (1, 50, 199):
        both = moments(their, VALUES[:cut]).merge(moments(their, VALUES[cut:]))
        expect(both.count, 200)
        expect(
            (both.mean, both.variance),
            (statistics.fmean(VALUES), statistics.variance(VALUES)),
            f"Cut after {cut} values: (mean, variance).",
        )


def check_empty(their):
    """Merging with nothing changes nothing"""
    some = moments(their, [2.0, 4.0, 9.0])
    for both in (some.merge(their.Moments()), their.Moments().merge(some)):
        expect((both.count, both.mean, both.m2), (3, 5.0, 26.0), "One of the two is empty.")
    nothing = their.Moments().merge(their.Moments())
    expect(nothing.count, 0, "Nothing and nothing: take care not to divide by 0.")


def check_unchanged(their):
    """The two that are merged stay as they were"""
    one, other = moments(their, [1.0, 2.0]), moments(their, [10.0])
    one.merge(other)
    expect((one.count, other.count), (2, 1), "merge() returns a new one.")


def check_far(their):
    """A billion away from zero, the digits are still there"""
    far = [1e9 + value for value in (4.0, 7.0, 13.0, 16.0)]
    expect(moments(their, far).variance, 30.0, "Don't subtract two huge sums from each other.")
    merged = moments(their, far[:2]).merge(moments(their, far[2:]))
    expect(merged.variance, 30.0, "The same after a merge.")
