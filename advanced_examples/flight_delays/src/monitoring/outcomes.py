"""What was predicted and what came true: two streams in Redis, and the join of both.

    flight:predictions    one entry a prediction, written by the service
    flight:landed         one entry a flight that has landed (python -m src.monitoring.landed FILE)

A prediction meets its truth by `flight_id`, so one that was asked for without is never judged; it
still counts for drift. Streams, because they are appended to, read from any point on by several
readers, and cut off at the old end by themselves. `flight` stands for the key prefix.

Needs redis and numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import redis
from numpy.typing import NDArray

from features.vector import INPUTS
from src.packed import PREFIX

KEEP = 100_000  # entries of each stream; about 60 MB of predictions
PAGE = 1_000  # entries read at once, so that nobody else waits for Redis
CLOCKS_APART = 60.0  # seconds that this machine's clock and that of Redis may differ
WIDTH = 4 * len(INPUTS)  # bytes of a prediction's inputs
LATE_MINUTES = 15.0  # from here on a flight counts as late, as in the airlines' own statistics


class Predicted(NamedTuple):
    """One prediction as it lies in the stream; `at` and `departure` are seconds since 1970.

    `inputs` are what the model saw: float32 in the order of INPUTS, little endian. `flight_id` is
    empty when the caller gave none.
    """

    flight_id: str
    at: float
    version: str
    airline: str
    route: str
    delay_minutes: float
    low: float
    high: float
    confidence: float
    features_used: int
    departure: float
    inputs: bytes


class Judged(NamedTuple):
    """A prediction and the truth, in minutes; `at` is when it was predicted."""

    flight_id: str
    version: str
    airline: str
    route: str
    predicted: float
    actual: float
    at: float


def predictions_key(prefix: str = PREFIX) -> str:
    """The stream of predictions."""
    return f"{prefix}:predictions"


def landed_key(prefix: str = PREFIX) -> str:
    """The stream of flights that have landed."""
    return f"{prefix}:landed"


def log_prediction(client: Any, prefix: str, made: Predicted) -> None:
    """Append a prediction to the stream.

    `client` is a connection or, for many at once, a pipeline of either kind, asynchronous too.
    """
    client.xadd(predictions_key(prefix), made._asdict(), maxlen=KEEP, approximate=True)


def log_landed(
    client: redis.Redis, prefix: str, flights: Iterable[tuple[str, float]], at: float
) -> int:
    """Append flights (flight_id, actual delay in minutes) that have landed; returns how many."""
    count = 0
    with client.pipeline(transaction=False) as pipe:
        for flight_id, minutes in flights:
            entry = {"flight_id": flight_id, "actual_delay_minutes": float(minutes), "at": at}
            pipe.xadd(landed_key(prefix), entry, maxlen=KEEP, approximate=True)
            count += 1
            if count % PAGE == 0:
                pipe.execute()
        pipe.execute()
    return count


def entries(
    client: redis.Redis, key: str, after: bytes | str = "-"
) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """(id, fields) of a stream's entries behind the id `after`, the oldest first.

    `after` may also be `(id` as in XRANGE, or `-` for all. The client must not decode answers.
    """
    start: Any = after
    while page := client.xrange(key, min=start, count=PAGE):
        yield from page
        start = b"(" + page[-1][0]


def predicted(fields: dict[bytes, bytes]) -> Predicted:
    """An entry of the predictions' stream."""
    text = {name: fields[name.encode()].decode() for name in Predicted._fields[:-1]}
    numbers = {name: float(text[name]) for name in NUMBERS}
    return Predicted(
        **{**text, **numbers, "features_used": int(text["features_used"])},
        inputs=fields[b"inputs"],
    )


NUMBERS = ("at", "delay_minutes", "low", "high", "confidence", "departure")


def matrix(rows: Sequence[Predicted]) -> NDArray[np.float32]:
    """What the model saw of `rows` (n, inputs); rows of another width than today's are left out."""
    held = b"".join(row.inputs for row in rows if len(row.inputs) == WIDTH)
    return np.frombuffer(held, dtype="<f4").reshape(-1, len(INPUTS))


def judged(
    client: redis.Redis,
    prefix: str = PREFIX,
    since: float | None = None,
    version: str | None = None,
) -> list[Judged]:
    """Predictions whose flight has landed, in the order in which they were made.

    `since` (seconds since 1970) leaves out what was predicted before, `version` what another model
    predicted. A flight that was asked for twice counts once for each version, with the last answer;
    a truth that came twice counts as it came last. The client must not decode answers.
    """
    start = "-" if since is None else str(int(max(since - CLOCKS_APART, 0) * 1000))
    truth = {
        fields[b"flight_id"].decode(): float(fields[b"actual_delay_minutes"])
        for _, fields in entries(client, landed_key(prefix), start)
    }
    said: dict[tuple[str, str], Predicted] = {}
    for _, fields in entries(client, predictions_key(prefix), start):
        made = predicted(fields)
        wanted = version is None or made.version == version
        if wanted and made.flight_id in truth and (since is None or made.at >= since):
            said[made.flight_id, made.version] = made
    return [judge(made, truth[made.flight_id]) for made in said.values()]


def judge(made: Predicted, actual: float) -> Judged:
    """A prediction beside the truth."""
    return Judged(
        made.flight_id, made.version, made.airline, made.route, made.delay_minutes, actual, made.at
    )


def accuracy(pairs: Sequence[Judged]) -> float | None:
    """The share of flights rightly called late (15 minutes or more) or not; None without any."""
    if not pairs:
        return None
    right = sum((one.predicted >= LATE_MINUTES) == (one.actual >= LATE_MINUTES) for one in pairs)
    return right / len(pairs)


def mean_error(pairs: Sequence[Judged]) -> float | None:
    """The mean absolute error in minutes; None without any flight."""
    if not pairs:
        return None
    return sum(abs(one.predicted - one.actual) for one in pairs) / len(pairs)
