"""Fresh enough: an age between zero and the limit; everything else is None, and named."""

from datetime import datetime, timedelta

Found = dict[str, tuple[float, datetime]]


def usable(
    found: Found, limits: dict[str, timedelta], now: datetime
) -> tuple[dict[str, float | None], list[str]]:
    """(value or None by name, the names that can't be used)."""
    values: dict[str, float | None] = {}
    for name, limit in limits.items():
        value, when = found.get(name, (None, None))
        if when is not None and when.tzinfo is None:
            raise ValueError(f"the time of {name} has no time zone: {when}")
        fresh = when is not None and timedelta(0) <= now - when <= limit
        values[name] = value if fresh else None
    return values, [name for name, value in values.items() if value is None]
