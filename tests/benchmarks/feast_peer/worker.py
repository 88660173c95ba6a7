"""Feast as a process that answers over a pipe, so that its calls can be interleaved with ours.

    worker.py FOLDER REDIS_URL DAYS

FOLDER holds features.parquet (driver_id, event_time, created, then the features) and labels.parquet
(driver_id, event_timestamp); features live for DAYS. Each line on standard input is a JSON list, a
verb and its arguments; each answer is one line of JSON. End of input ends the process and removes
what it wrote to Redis.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.infra.offline_stores.duckdb import DuckDBOfflineStoreConfig
from feast.infra.online_stores.redis import RedisOnlineStoreConfig
from feast.repo_config import RegistryConfig
from feast.types import Float64
from feast.value_type import ValueType

VIEW = "drivers"


class Peer:
    """A Feast store over the files in `folder`, with the verbs of the pipe as methods."""

    def __init__(self, folder: Path, redis_url: str, days: float) -> None:
        self.folder = folder
        names = pq.read_schema(folder / "features.parquet").names[3:]
        self.features = [f"{VIEW}:{name}" for name in names]
        parts = urlsplit(redis_url)
        self.store = FeatureStore(
            config=RepoConfig(
                project="bench_feature_store",
                provider="local",
                registry=RegistryConfig(path=str(folder / "registry.db")),
                offline_store=DuckDBOfflineStoreConfig(),
                online_store=RedisOnlineStoreConfig(
                    connection_string=f"{parts.hostname}:{parts.port},db={parts.path[1:] or 0}"
                ),
                entity_key_serialization_version=3,
            )
        )
        self.driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
        self.source = FileSource(
            path=str(folder / "features.parquet"),
            timestamp_field="event_time",
            created_timestamp_column="created",
        )
        self.names = names
        self.live(days)
        self.labels = pd.read_parquet(folder / "labels.parquet")

    def live(self, days: float) -> int:
        """From now on features live for so many days."""
        view = FeatureView(
            name=VIEW,
            entities=[self.driver],
            ttl=timedelta(days=days),
            schema=[Field(name=name, dtype=Float64) for name in self.names],
            source=self.source,
        )
        self.store.apply([self.driver, view])
        return 0

    def historical(self) -> float:
        """Seconds of get_historical_features; the answer is written to feast.parquet."""
        start = time.perf_counter()
        job = self.store.get_historical_features(entity_df=self.labels, features=self.features)
        frame = job.to_df()
        seconds = time.perf_counter() - start
        frame.to_parquet(self.folder / "feast.parquet")
        return seconds

    def materialise(self, until: str) -> int:
        """Bring the newest features up to `until` (ISO 8601) online."""
        end = datetime.fromisoformat(until).astimezone(UTC)
        self.store.materialize(end - timedelta(days=2), end, feature_views=[VIEW])
        return 0

    def online(self, ids: list[int]) -> float:
        """Seconds of get_online_features for `ids`; the answer stays for `last`."""
        rows = [{"driver_id": number} for number in ids]
        start = time.perf_counter()
        response = self.store.get_online_features(features=self.features, entity_rows=rows)
        self.answer = response.to_dict()
        return time.perf_counter() - start

    def last(self) -> dict:
        """The last answer of `online`, by column."""
        return self.answer


def main() -> None:
    """Answer until the input ends. Feast prints as it works; only answers may go to our output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folder, redis_url, days = sys.argv[1:]
    peer = Peer(Path(folder), redis_url, float(days))
    print(json.dumps("ready"), file=answers, flush=True)
    try:
        for line in sys.stdin:
            verb, *arguments = json.loads(line)
            print(json.dumps(getattr(peer, verb)(*arguments)), file=answers, flush=True)
    finally:
        peer.store.teardown()


if __name__ == "__main__":
    main()
