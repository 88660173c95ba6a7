"""The service as its users and its operator see it from outside: for the lesson and the tests."""

import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import httpx

from recommendations_api.consumer import open_database
from recommendations_api.settings import Settings

LOOK_AGAIN = 0.05  # seconds


@dataclass
class Visitor:
    """A client of the service that runs with `settings`."""

    settings: Settings
    http: httpx.Client

    def ask(self, user_id: object, **headers: str) -> httpx.Response:
        """Ask for a user's recommendations."""
        return self.http.get(path(user_id), headers=headers)

    def metric(self, name: str) -> float:
        """The value of a metric, 0.0 where it has none yet."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.http.get("/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    def rows(self, query: str) -> list[tuple]:
        """The rows of a query in the service's schema."""
        with closing(open_database(self.settings)) as database, database.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def given(self) -> float:
        """How many answers the service has given."""
        tiers = ("redis", "database")
        return sum(self.metric(f'recommendations_answers_total{{tier="{t}"}}') for t in tiers)

    def stored(self) -> int:
        """How many answers the consumer has stored."""
        return self.rows("SELECT count(*) FROM served")[0][0]


def path(user_id: object) -> str:
    """The route that all this is about."""
    return f"/api/users/{user_id}/personalized-recommendations"


def milliseconds(response: httpx.Response) -> dict[str, float]:
    """What each store took, from the header Server-Timing."""
    parts = re.findall(r"(\w+);dur=([\d.]+)", response.headers["Server-Timing"])
    return {store: float(value) for store, value in parts}


def comes_true(truth: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether `truth` holds within some seconds."""
    deadline = time.monotonic() + seconds
    while not (holds := truth()) and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN)
    return holds
