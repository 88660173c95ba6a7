"""The life of a transaction, as a state machine.

(requested) -> posted -> reversed
(requested) -> pending -> posted | voided | expired
(requested) -> rejected
"""

from enum import StrEnum

from ledger.errors import WrongState


class State(StrEnum):
    """Where a transaction stands."""

    REQUESTED = "requested"
    PENDING = "pending"
    POSTED = "posted"
    REJECTED = "rejected"
    VOIDED = "voided"
    EXPIRED = "expired"
    REVERSED = "reversed"


NEXT: dict[State, tuple[State, ...]] = {
    State.REQUESTED: (State.POSTED, State.PENDING, State.REJECTED),
    State.PENDING: (State.POSTED, State.VOIDED, State.EXPIRED),
    State.POSTED: (State.REVERSED,),
    State.REJECTED: (),
    State.VOIDED: (),
    State.EXPIRED: (),
    State.REVERSED: (),
}


def check_move(key: str, now: State, wanted: State) -> None:
    """WrongState, with what is possible instead, unless `now` may become `wanted`."""
    if wanted not in NEXT[now]:
        possible = f"only {', '.join(NEXT[now])}" if NEXT[now] else "that is its end"
        raise WrongState(f"{key} is {now} and can't become {wanted}: {possible}")
