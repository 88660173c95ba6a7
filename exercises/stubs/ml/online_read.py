"""Features of a hundred customers in one journey.

The features that a model needs at this moment lie in Redis, a hash for each customer:
`HSET <prefix>7 recency_days 3 frequency 12`. `read` asks for one customer after another, so a page
with a hundred customers waits for a hundred journeys. Ask for all of them in one.

A feature that isn't there is None; a customer who isn't there has None for every feature.
"""

import redis


def read(
    client: redis.Redis, prefix: str, customer_ids: list[int], features: list[str]
) -> dict[int, dict[str, float | None]]:
    """The features of each customer, by id and name."""
    found = {}
    for customer_id in customer_ids:
        # TODO: a journey for each customer.
        values = client.hmget(f"{prefix}{customer_id}", features)
        numbers = [None if value is None else float(value) for value in values]
        found[customer_id] = dict(zip(features, numbers, strict=True))
    return found
