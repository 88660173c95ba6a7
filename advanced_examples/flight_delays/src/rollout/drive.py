"""Steer the router by what is seen: the loop between `progress`, which decides, and the world."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src.rollout.client import (
    RouterAwayError,
    RouterClient,
    RouterRefusedError,
    SideStatus,
    Status,
)
from src.rollout.limits import ACCURACY, Seen
from src.rollout.progress import ENDS, Decided, Decision, Progress
from src.rollout.sides import CANDIDATE, STABLE
from src.rollout.truth import Truth, share_right

AWAY = 10.0  # seconds that the router may be silent
RECOVERY = 300.0  # seconds in which a rollback must have taken the last request off the candidate
log = logging.getLogger("rollout")


class RolloutError(Exception):
    """The rollout can't begin or go on; the text says why and what became of the share."""


@dataclass(frozen=True)
class Plan:
    """Shares to go through, seconds a window and between looks, looks a window, windows a step."""

    steps: tuple[float, ...]
    window: float
    every: float
    looks: int
    windows: int

    @property
    def lease(self) -> float:
        """Seconds for which the router keeps a share without hearing from us."""
        return max(5.0, 4 * self.every)


class Drive:
    """One rollout. `truth` None: accuracy is not judged."""

    def __init__(self, router: RouterClient, plan: Plan, truth: Truth | None) -> None:
        self.router, self.plan, self.truth = router, plan, truth
        self.progress = Progress(plan.steps, plan.looks, plan.windows)
        self.holder = f"canary {os.getpid()} on {socket.gethostname()}"
        self.run_id, self.share = "", 0.0
        self.report: dict[str, Any] = {
            "result": "not begun", "reason": "", "steps": plan.steps, "window_seconds": plan.window,
            "accuracy_judged": truth is not None, "began": now(), "decisions": [],
        }  # fmt: skip

    def run(self) -> Decision:
        """Go through the steps; how it ended. The candidate has all flights, or none.

        Raises:
            RolloutError: the router is away, was restarted, or is somebody else's.
            KeyboardInterrupt: stopped by hand.
        """
        try:
            return self.steps(self.begin())
        except BaseException as error:
            self.stop(error)
            raise

    def begin(self) -> Status:
        """Check that there is something to roll out, and take the first share."""
        status = self.heard(self.router.status)
        if not status.ready[CANDIDATE]:
            raise RolloutError(
                "the router has no candidate that is ready: start the service of the new version, "
                "and the router with --candidate URL"
            )
        if status.share:
            raise RolloutError(
                f"the candidate has {status.share:.0%} of the flights already: another canary is "
                'under way, or somebody set it; PUT {"share": 0} first'
            )
        self.run_id = status.run
        return self.take(self.progress.share, renew=False, reason="The rollout begins.")

    def steps(self, status: Status) -> Decision:
        """Look and decide until it ends; how it did."""
        start, deadline = status, time.monotonic() + self.plan.window
        while True:
            time.sleep(min(self.plan.every, max(0.0, deadline - time.monotonic())))
            over = time.monotonic() >= deadline
            status = self.take(self.share)
            seen = self.seen(start, status, over)
            decided = self.progress.look(seen, over)
            if decided.decision is Decision.WATCH:
                continue
            told = self.note(decided, seen, start, status)
            if decided.decision in ENDS:
                self.end(decided, told)
                return decided.decision
            status = self.take(decided.share, **told)
            if decided.decision is Decision.ADVANCE:
                start = status
            deadline = time.monotonic() + self.plan.window

    def seen(self, start: Status, status: Status, anew: bool) -> dict[str, Seen]:
        """What was seen of the candidate since the step began, by limit."""
        seen = status.candidate.since(start.candidate)
        if self.truth is not None:
            seen[ACCURACY] = self.truth.seen(status.candidate.version, anew)
        return seen

    def take(self, share: float, renew: bool = True, **told: Any) -> Status:
        """Set (or keep) the share and renew its lease; the router's state."""
        lease = {"lease_seconds": self.plan.lease, "holder": self.holder, "renew": renew}
        status = self.heard(lambda: self.router.set(share, **lease, **told))
        self.share = share
        return status

    def heard(self, ask: Any) -> Status:
        """The router's answer, asked again for a while when it is silent.

        Raises:
            RolloutError: it stays silent, refuses, or is another run of the router than before.
        """
        deadline = time.monotonic() + AWAY
        while True:
            try:
                status: Status = ask()
                break
            except RouterRefusedError as error:
                raise RolloutError(str(error)) from error
            except RouterAwayError as error:
                if time.monotonic() > deadline:
                    raise RolloutError(
                        f"{error}; a router that starts again begins with 0 %"
                    ) from error
                time.sleep(0.2)
        if self.run_id not in ("", status.run):
            raise RolloutError("the router was started anew, and its counts with it: begin again")
        return status

    def end(self, decided: Decided, told: Mapping[str, Any]) -> None:
        """Leave the router as decided: all for good, or nothing, and wait until that is so."""
        began = time.monotonic()
        if decided.decision is Decision.FINISH:
            # Without a lease: it stays when nobody watches any more.
            self.heard(
                lambda: self.router.set(decided.share, holder=self.holder, renew=True, **told)
            )
            self.share = decided.share
        else:
            status = self.heard(lambda: self.router.set(0.0, **told))
            while status.candidate.in_flight:
                if time.monotonic() - began > RECOVERY:
                    raise RolloutError(f"the candidate still has requests after {RECOVERY:g} s")
                time.sleep(0.1)
                status = self.heard(self.router.status)
            self.share = 0.0
            self.report["recovery_seconds"] = round(time.monotonic() - began, 3)
            log.info("No request is at the candidate any more, %.1f s after the decision; the "
                     "limit is %g s.", self.report["recovery_seconds"], RECOVERY)  # fmt: skip
        self.report |= {"result": decided.decision.value, "reason": decided.reason}

    def stop(self, error: BaseException) -> None:
        """Take the share back as well as can be; the lease does it if the router can't be told."""
        reason = str(error) or "stopped by hand"
        self.report |= {"result": "stopped", "reason": reason}
        log.info("Stopped: %s.", reason)
        if self.share:
            try:
                if self.router.status().holder == self.holder:
                    self.router.set(0.0, decision="stop", reason=reason)
                log.info("The candidate gets nothing of ours any more.")
            except (RouterAwayError, RouterRefusedError) as silent:
                log.warning("%s; without news the router takes the share back itself.", silent)

    def note(
        self, decided: Decided, seen: Mapping[str, Seen], start: Status, status: Status
    ) -> dict[str, Any]:
        """Log a decision, keep it for the report, and return what to tell the router of it."""
        log.info("At %.0f %%: %s. %s.", 100 * self.share, decided.decision.value, decided.reason)
        told = {
            "decision": decided.decision.value, "limit": decided.limit, "reason": decided.reason,
            "accuracy": self.accuracy(status),
        }  # fmt: skip
        self.report["decisions"].append({
            "at": now(), "share": self.share, **told, "next_share": decided.share,
            "candidate": figures(seen, status.candidate),
            "stable": figures(status.stable.since(start.stable), status.stable),
        })  # fmt: skip
        if self.truth is not None and status.stable.version == status.candidate.version:
            log.info("Both sides answer with model %s: its accuracy is that of both.",
                     status.stable.version)  # fmt: skip
        return told

    def accuracy(self, status: Status) -> dict[str, float]:
        """The accuracy of each side of which flights have landed."""
        if self.truth is None:
            return {}
        versions = {STABLE: status.stable.version, CANDIDATE: status.candidate.version}
        found = {side: share_right(self.truth.seen(name)) for side, name in versions.items()}
        return {side: share for side, share in found.items() if share is not None}

    def write(self, file: Path) -> None:
        """Write the report."""
        self.report["ended"] = now()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.report, indent=2) + "\n", encoding="utf-8")


def figures(seen: Mapping[str, Seen], side: SideStatus) -> dict[str, Any]:
    """A side's counts for the report."""
    counts = {name: {"bad": counted.bad, "of": counted.of} for name, counted in seen.items()}
    return {"version": side.version, **counts}


def now() -> str:
    """The time, as the report has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
