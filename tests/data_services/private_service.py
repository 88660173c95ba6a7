"""The recommendations API as a process, on a private stack, with what its tests ask of it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from recommendations_api import process
from recommendations_api.settings import Settings
from recommendations_api.visitor import Visitor

from course.settings import ROOT, SERVICES
from tests.stack.private import PrivateStack, eventually

KEY = "tests-key"
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
class PrivateService(Visitor):
    """The service, and the stack under it. `hurt`: a server was killed."""

    stack: PrivateStack
    hurt: bool = False

    @classmethod
    @contextmanager
    def started(cls) -> Iterator["PrivateService"]:
        """Start the servers, prepare, start service and consumer; end all of it."""
        # Quorum queues of RabbitMQ 3.10 break when their folder's path has letters beyond Latin-1.
        stack = PrivateStack(
            Path(tempfile.mkdtemp(prefix="stack of a service ")).resolve() / "course"
        )
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
                process.service(settings) as started,
                client(started.url) as http,
            ):
                try:
                    yield cls(settings, http, stack)
                finally:
                    stack.find(*SERVICES)  # all of them are needed once more, to clean up
        finally:
            stack.close()

    def heal(self) -> None:
        """Bring every server back and wait until the service finds nothing to complain about."""
        if not self.hurt:
            return
        self.stack.find(*SERVICES)
        eventually(lambda: self.http.get("/ready").json()["services"] == ALL_WELL)
        eventually(lambda: self.ask(1).status_code == 200)
        eventually(lambda: self.ask(1).json()["degraded"] == [])
        self.hurt = False

    def kill(self, server: str) -> None:
        """Kill one of the four servers as `kill -9` does."""
        self.hurt = True
        self.stack.kill(server)


ALL_WELL = dict.fromkeys(SERVICES, "ok")


def client(url: str) -> httpx.Client:
    """A client with the tests' key."""
    return httpx.Client(base_url=url, headers={"X-API-Key": KEY}, timeout=60)


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
