"""Fresh, old, missing, from the future, and without a time zone."""

from datetime import UTC, datetime, timedelta, timezone

from course.exercises import expect, expect_error

NOW = datetime(2025, 10, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMITS = {"recency_days": 24 * HOUR, "frequency": 2 * HOUR}


def ago(hours: float) -> datetime:
    return NOW - hours * HOUR


def check_fresh(their):
    """What is fresh is used, whatever its value"""
    found = {"frequency": (0.0, ago(1)), "recency_days": (3.0, ago(20)), "colour": (1.0, ago(0))}
    expect(
        their.usable(found, LIMITS, NOW),
        ({"recency_days": 3.0, "frequency": 0.0}, []),
        "0.0 is a value; colour has no limit, so nobody asked for it.",
    )


def check_old(their):
    """What is too old is None, and named"""
    found = {"recency_days": (3.0, ago(24)), "frequency": (9.0, ago(2.01))}
    expect(
        their.usable(found, LIMITS, NOW),
        ({"recency_days": 3.0, "frequency": None}, ["frequency"]),
        "Exactly 24 hours is allowed, 2.01 hours are more than 2.",
    )


def check_missing(their):
    """What is missing is None, and named in the order of the limits"""
    expect(
        their.usable({}, LIMITS, NOW),
        ({"recency_days": None, "frequency": None}, ["recency_days", "frequency"]),
    )


def check_future(their):
    """What comes from the future is not trusted"""
    found = {"recency_days": (3.0, ago(-0.1)), "frequency": (9.0, ago(0))}
    expect(their.usable(found, LIMITS, NOW)[1], ["recency_days"])


def check_zones(their):
    """Times in other zones are compared, times without one are refused"""
    kyiv = timezone(2 * HOUR)
    found = {"recency_days": (3.0, NOW.astimezone(kyiv)), "frequency": (9.0, ago(1))}
    expect(their.usable(found, LIMITS, NOW)[1], [])
    naive = {"recency_days": (3.0, datetime(2025, 10, 26, 11)), "frequency": (9.0, ago(1))}
    with expect_error(ValueError, "datetime.tzinfo is None when there is no zone."):
        their.usable(naive, LIMITS, NOW)
