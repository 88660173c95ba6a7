"""A hundred customers in one journey: a pipeline sends all commands at once."""

import redis


def read(
    client: redis.Redis, prefix: str, customer_ids: list[int], features: list[str]
) -> dict[int, dict[str, float | None]]:
    """The features of each customer, by id and name."""
    with client.pipeline(transaction=False) as pipeline:
        for customer_id in customer_ids:
            pipeline.hmget(f"{prefix}{customer_id}", features)
        answers = pipeline.execute()
    found = {}
    for customer_id, values in zip(customer_ids, answers, strict=True):
        numbers = [None if value is None else float(value) for value in values]
        found[customer_id] = dict(zip(features, numbers, strict=True))
    return found
