"""The router's /rollout page for programs: read how things are, set the share."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple

from src.rollout.limits import ERRORS, P99, P99_SECONDS, Seen
from src.rollout.sides import KEY_HEADER, PAGE

WAIT = 5.0  # seconds for an answer


class RouterAwayError(Exception):
    """The router doesn't answer."""


class RouterRefusedError(Exception):
    """The router answered and refused; the text says why."""


class SideStatus(NamedTuple):
    """Counts of one side since the router began; `slow`: of `timed` answers, above 2000 ms.

    What is in flight is neither good nor bad yet and stands in none of the others.
    """

    done: int
    failed: int
    slow: int
    timed: int
    in_flight: int
    version: str

    def since(self, before: SideStatus) -> dict[str, Seen]:
        """What was seen between `before` and this, by limit."""
        return {
            ERRORS: Seen(self.failed - before.failed, self.done - before.done),
            P99: Seen(self.slow - before.slow, self.timed - before.timed),
        }


class Status(NamedTuple):
    """The router's state; `run` is another after each start, `ready` counts backends by side."""

    run: str
    share: float
    holder: str
    stable: SideStatus
    candidate: SideStatus
    ready: Mapping[str, int]


class RouterClient:
    """Asks the router at `url`, with `key` when it wants one.

    Every call may raise RouterAwayError and RouterRefusedError.
    """

    def __init__(self, url: str, key: str = "") -> None:
        self.url = url.rstrip("/") + PAGE
        self._headers = {"Content-Type": "application/json"} | ({KEY_HEADER: key} if key else {})
        # The router is near: a proxy for the internet, as the environment may name, isn't asked.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def status(self) -> Status:
        """How things are."""
        return self._ask("GET", None)

    def set(self, share: float, **told: Any) -> Status:
        """Give the candidate `share`; `told` as docs/ROLLOUT.md lists it."""
        return self._ask("PUT", json.dumps({"share": share, **told}).encode())

    def _ask(self, method: str, body: bytes | None) -> Status:
        request = urllib.request.Request(self.url, body, self._headers, method=method)
        try:
            with self._opener.open(request, timeout=WAIT) as answer:
                return understood(json.load(answer))
        except urllib.error.HTTPError as error:
            raise RouterRefusedError(reason(error)) from error
        except (OSError, urllib.error.URLError) as error:
            raise RouterAwayError(f"{self.url} does not answer: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RouterRefusedError(f"{self.url} is not a router's: {error!r}") from error


def reason(error: urllib.error.HTTPError) -> str:
    """What the router says about a refusal."""
    try:
        return str(json.load(error)["reason"])
    except (ValueError, KeyError, TypeError):
        return f"status {error.code}: is a router there?"


def understood(page: Mapping[str, Any]) -> Status:
    """The status in the JSON page."""
    bounds = page["bounds_seconds"]
    sides = {name: side_status(side, bounds) for name, side in page["sides"].items()}
    ready = {
        name: sum(one["up"] for one in side["backends"]) for name, side in page["sides"].items()
    }
    return Status(
        page["run"], page["share"], page["holder"], sides["stable"], sides["candidate"], ready
    )


def side_status(side: Mapping[str, Any], bounds: list[float]) -> SideStatus:
    """One side of it."""
    slow = sum(side["buckets"][bounds.index(P99_SECONDS) + 1 :])
    return SideStatus(
        side["asked"] - side["in_flight"], sum(side["errors"].values()), slow,
        sum(side["buckets"]), side["in_flight"], side["version"],
    )  # fmt: skip
