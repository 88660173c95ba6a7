"""Simulated days through the running service: features online, flights asked, truth told."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import redis

from features import airline_features, route_features, weather_features
from src import packed
from src.monitoring import landed

DAILY = (route_features.VIEW, airline_features.VIEW)
DAY = pd.Timedelta(days=1)
ASKED = ("flight_id", "route", "airline", "aircraft_type")
TOLD = ("inbound_delay_minutes", "turnaround_minutes")


class Days:
    """Plays one day after another; what a day's flights did is told when they have landed."""

    def __init__(
        self,
        raw: Mapping[str, pd.DataFrame],
        views: Mapping[str, pd.DataFrame],
        client: redis.Redis,
        prefix: str,
    ) -> None:
        flights = raw["flights"]
        delay = pd.to_timedelta(flights["actual_delay_minutes"].fillna(0.0), unit="min")
        self.flights = flights.assign(landed=flights["arrival_time"] + delay)
        self.views, self.client, self.prefix = views, client, prefix
        self.asked, self.told = 0, 0
        self._flying = self.flights.iloc[:0]

    def play(self, day: pd.Timestamp, url: str, key: str) -> None:
        """Ask the service at `url` about all flights of `day` (UTC), then tell who has landed."""
        for view in DAILY:
            self.online(view, day)
        today = self.flights[self.flights["departure_time"].between(day, day + DAY, "left")]
        for hour, leaving in today.groupby(today["departure_time"].dt.floor("h")):
            self.online(weather_features.VIEW, hour)
            ask(f"{url}/predict-batch", {"flights": questions(leaving)}, key)
            self.asked += len(leaving)
        self.tell(today, day + DAY)

    def online(self, view: Any, at: pd.Timestamp) -> None:
        """Bring a view's rows of the moment `at` online."""
        table = self.views[view.name]
        rows = table[table["event_timestamp"] == at].to_dict("records")
        moment = at.to_pydatetime()
        packed.write(
            self.client, view, ((row[view.entity], moment, row) for row in rows), self.prefix
        )

    def tell(self, today: pd.DataFrame, now: pd.Timestamp) -> None:
        """Tell the monitoring of the flights that have landed by `now`."""
        flying = pd.concat([self._flying, today[~today["cancelled"]]])
        down = flying["landed"] < now
        self._flying = flying[~down]
        rows = flying.loc[down, ["flight_id", "actual_delay_minutes"]]
        self.told += landed.write(self.client, self.prefix, rows.itertuples(index=False, name=None))


def questions(flights: pd.DataFrame) -> list[dict[str, Any]]:
    """Flights as the service is asked about them."""
    times = flights["departure_time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    inbound = np.clip(flights["inbound_delay_minutes"], -120, 1440)
    table = flights[[*ASKED, *TOLD]].assign(departure_time=times, inbound_delay_minutes=inbound)
    return table.to_dict("records")


def ask(url: str, body: Mapping[str, Any] | None, key: str) -> Any:
    """POST `body`, or GET without one; urllib's HTTPError when it is refused."""
    data = None if body is None else json.dumps(body).encode()
    head = {"X-API-Key": key, "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, head), timeout=30) as answer:
        return json.load(answer)
