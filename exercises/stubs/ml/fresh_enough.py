"""Fresh enough for a model?

A model that is fed old numbers answers as confidently as ever. Ask before it does. Write `usable`:
it gets the features as they were found, name -> (value, when it was computed), and how old each may
be, name -> timedelta. It returns the values to use and the names of those that can't be used:

    usable(found, limits, now)   ->   ({"recency_days": 3.0, "frequency": None}, ["frequency"])

A feature can't be used when it is missing, older than its limit, or from the future (a clock is
wrong somewhere): its value is None. Exactly as old as allowed is fresh. The names come in the order
of `limits`, and only features in `limits` are returned. A time without a time zone is a ValueError:
it can't be compared.
"""

from datetime import datetime, timedelta

Found = dict[str, tuple[float, datetime]]


def usable(
    found: Found, limits: dict[str, timedelta], now: datetime
) -> tuple[dict[str, float | None], list[str]]:
    """(value or None by name, the names that can't be used)."""
    raise NotImplementedError("TODO: missing, too old, or from the future?")
