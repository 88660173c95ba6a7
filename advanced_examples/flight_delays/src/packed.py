"""Write packed features to Redis: one short value per entity, which one MGET reads.

Feast stores each feature as a field of a hash and reads a view at a time; the service would spend
most of its time there. These values hold the same numbers, and a test compares the two.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import redis

from features.views import View, key, pack

PREFIX = "flight"
KEEP = timedelta(days=7)

# One step, so that two writers can't overtake each other between looking and writing.
WRITE_IF_NOT_OLDER = """
local known = redis.call('GETRANGE', KEYS[1], 0, 7)
if #known == 8 and struct.unpack('<d', known) > struct.unpack('<d', ARGV[1]) then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


def write(
    client: redis.Redis,
    view: View,
    rows: Iterable[tuple[str, datetime, Mapping[str, Any]]],
    prefix: str = PREFIX,
    now: float | None = None,
) -> int:
    """Write `rows` of (entity, event time, features); returns how many were taken.

    A row older than what is there is left out, so that rows may come twice and in any order. A
    row of the same time replaces it: that is a correction. Also notes when the view was written.
    """
    written = time.time() if now is None else now
    script = client.register_script(WRITE_IF_NOT_OLDER)
    keep = int(KEEP.total_seconds())
    newest, count = 0.0, 0
    with client.pipeline(transaction=False) as pipe:
        for entity, event_time, features in rows:
            as_of = event_time.timestamp()
            newest, count = max(newest, as_of), count + 1
            value = pack(view, features, as_of, written)
            script(keys=[key(prefix, view, entity)], args=[value, keep], client=pipe)
        taken = sum(pipe.execute()) if count else 0
    if count:
        known = client.hget(freshness_key(prefix), view.name)
        newest = max(newest, json.loads(known)["as_of"]) if known else newest
        note = json.dumps({"as_of": newest, "written": written, "rows": count})
        client.hset(freshness_key(prefix), view.name, note)
    return int(taken)


def freshness_key(prefix: str = PREFIX) -> str:
    """The hash that says, by view, when it was last written."""
    return f"{prefix}:freshness"


def remove(client: redis.Redis, prefix: str) -> int:
    """Delete everything under `prefix`; returns how many keys that were."""
    count = 0
    for name in client.scan_iter(match=f"{prefix}:*", count=500):
        count += client.delete(name)
    return count
