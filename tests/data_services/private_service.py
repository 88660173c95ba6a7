"""The recommendations API as a process, on a private stack, with what its tests ask of it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from recommendations_api import process
from recommendations_api.consumer import open_database
from recommendations_api.settings import Settings

from course.settings import ROOT, SERVICES
from tests.stack.private import PrivateStack, eventually

KEY = "tests-key"
SERVED = "SELECT coalesce(sum(1), 0) FROM served"
# Prepares, says where the model is, and removes everything when its standard input ends.
PREPARE = """
import sys
from course import connect
from recommendations_api.prepare import prepared
from recommendations_api.settings import from_environment
connect.prepare(["postgres"])
with prepared(from_environment()) as settings:
    print(settings.model, flush=True)
    sys.stdin.read()
"""


@dataclass
class PrivateService:
    """The service at `http`, and the stack under it. `hurt`: a server was killed."""

    stack: PrivateStack
    settings: Settings
    http: httpx.Client
    hurt: bool = False

    @classmethod
    @contextmanager
    def started(cls) -> Iterator["PrivateService"]:
        """Start the servers, prepare, start service and consumer; end all of it."""
        stack = PrivateStack()
        try:
            found = stack.find(*SERVICES)
            for name, endpoint in found.items():
                if "problem" in endpoint:
                    pytest.skip(f"{name}: {endpoint['problem']}")
            own = Settings(
                **{name: endpoint["url"] for name, endpoint in found.items()},
                name="api_tests", api_keys={KEY: "tests"}, rate=1_000_000, burst=1_000_000,
            )  # fmt: skip
            with (
                prepared_elsewhere(stack, own) as settings,
                process.storing(settings),
                process.service(settings) as url,
                client(url) as http,
            ):
                try:
                    yield cls(stack, settings, http)
                finally:
                    stack.find(*SERVICES)  # all of them are needed once more, to clean up
        finally:
            stack.close()

    def ask(self, user_id: object, **options: Any) -> httpx.Response:
        """Ask for recommendations."""
        return self.http.get(path(user_id), **options)

    def metric(self, name: str) -> float:
        """The value of a metric, 0.0 where it has none yet."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.http.get("/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    def rows(self, query: str) -> list[tuple]:
        """The rows of a query in the service's schema."""
        with closing(open_database(self.settings)) as database, database.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def stored(self) -> int:
        """How many answers the consumer has stored."""
        return self.rows(SERVED)[0][0]

    def given(self) -> float:
        """How many answers the service has given."""
        tiers = ("redis", "database")
        return sum(self.metric(f'recommendations_answers_total{{tier="{t}"}}') for t in tiers)

    def heal(self) -> None:
        """Bring every server back and wait until the service finds nothing to complain about."""
        if not self.hurt:
            return
        self.stack.find(*SERVICES)
        eventually(lambda: self.http.get("/ready").json()["services"] == ALL_WELL, 20)
        eventually(lambda: self.ask(1).status_code == 200, 20)
        eventually(lambda: self.ask(1).json()["degraded"] == [], 20)
        self.hurt = False

    def kill(self, server: str) -> None:
        """Kill one of the four servers as `kill -9` does."""
        self.hurt = True
        self.stack.kill(server)


ALL_WELL = dict.fromkeys(SERVICES, "ok")


def path(user_id: object) -> str:
    """The route of all routes."""
    return f"/api/users/{user_id}/personalized-recommendations"


def client(url: str) -> httpx.Client:
    """A client with the tests' key."""
    return httpx.Client(base_url=url, headers={"X-API-Key": KEY}, timeout=20)


@contextmanager
def prepared_elsewhere(stack: PrivateStack, settings: Settings) -> Iterator[Settings]:
    """`prepared` in a process whose stack is the private one; this one's is the course's."""
    environment = {**os.environ, **stack.settings, **settings.environment()}
    preparing = subprocess.Popen(
        [sys.executable, "-c", PREPARE], cwd=ROOT, text=True, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert preparing.stdout
        model = preparing.stdout.readline().strip()
        assert model, "preparing failed: its error stands above"
        yield replace(settings, model=type(settings.model)(model))
    finally:
        preparing.communicate(timeout=60)
