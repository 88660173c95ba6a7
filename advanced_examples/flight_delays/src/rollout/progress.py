"""How far a rollout is, and the next decision: pure, so that a test can play any traffic to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from src.rollout.limits import Seen, Verdict, judge

NOBODY = 0.0


class Decision(StrEnum):
    """What to do after a look."""

    WATCH = "watch"  # the window goes on
    WAIT = "wait"  # it is over, and there was too little to judge by: another one
    ADVANCE = "advance"
    FINISH = "finish"
    ROLL_BACK = "roll back"
    GIVE_UP = "give up"  # still too little after the last window


ENDS = frozenset({Decision.FINISH, Decision.ROLL_BACK, Decision.GIVE_UP})


class Decided(NamedTuple):
    """A decision, the share that the candidate gets from now on, and why."""

    decision: Decision
    share: float
    limit: str
    reason: str


class Progress:
    """Through the `steps` (shares, rising) in windows of `looks` looks.

    A step that had too little traffic gets up to `windows` windows. Every end but the good one
    leaves the candidate without traffic.
    """

    def __init__(self, steps: Sequence[float], looks: int, windows: int) -> None:
        self.steps, self.looks, self.windows = tuple(steps), looks, windows
        self._step, self._window = 0, 1
        self.ended = False

    @property
    def share(self) -> float:
        """The share of the step that is under way."""
        return self.steps[self._step]

    def look(self, seen: Mapping[str, Seen], over: bool) -> Decided:
        """The decision on what was seen of the candidate since this step began.

        Raises:
            RuntimeError: the rollout has ended.
        """
        if self.ended:
            raise RuntimeError("this rollout has ended")
        verdict, limit, reason = judge(seen, self.looks * self.windows, over)
        decided = self._decide(verdict, limit, reason, over)
        self.ended = decided.decision in ENDS
        return decided

    def _decide(self, verdict: Verdict, limit: str, reason: str, over: bool) -> Decided:
        if verdict is Verdict.BROKEN:
            return Decided(Decision.ROLL_BACK, NOBODY, limit, reason)
        if not over:
            return Decided(Decision.WATCH, self.share, limit, reason)
        if verdict is Verdict.OPEN:
            if self._window == self.windows:
                return Decided(Decision.GIVE_UP, NOBODY, limit, reason)
            self._window += 1
            return Decided(Decision.WAIT, self.share, limit, reason)
        if self._step == len(self.steps) - 1:
            return Decided(Decision.FINISH, self.share, limit, reason)
        self._step, self._window = self._step + 1, 1
        return Decided(Decision.ADVANCE, self.share, limit, reason)
