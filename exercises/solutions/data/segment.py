"""A segmenting function: a few questions, in the order of the rule."""


def segment(recency: int | None, orders: int, last_year: int, registered_ago: int) -> str:
    """The segment: days since the last order, orders ever, in the last year, days registered."""
    if min(recency or 0, orders, last_year, registered_ago) < 0:
        raise ValueError(f"negative: {(recency, orders, last_year, registered_ago)}")
    if recency is None or orders == 0:
        return "active" if registered_ago <= 86 else "dormant"
    if recency >= 240:
        return "dormant"
    if recency > 90:
        return "at risk"
    return "vip" if last_year >= 14 else "active"
