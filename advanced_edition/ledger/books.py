"""The books: a log on disk, what follows from it in memory, and an index of the keys.

What every request needs stands here: take a new event in, answer a repeated request, find an
account. The requests themselves are in `service.py`.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from ledger import snapshots
from ledger.account_numbers import is_account_number
from ledger.errors import BadRequest, KeyReused, LogDamaged
from ledger.events import Event, HoldPlaced, TransactionRejected, decode, encode
from ledger.log import EventLog
from ledger.state import Account, Bank
from ledger.states import State

LOG_NAME = "events.log"
POSTED = State.POSTED
FIRST_STATE = {HoldPlaced: State.PENDING, TransactionRejected: State.REJECTED}


class Receipt(NamedTuple):
    """The answer: `outcome` is posted, pending, rejected or exists; `event` what was recorded."""

    outcome: str
    event: Any


class Books:
    """The books in one folder. Open them with `open`, and with `with`."""

    def __init__(self, log: EventLog, bank: Bank, keys: dict[str, int]) -> None:
        self.log, self.bank = log, bank
        self.keys = keys  # idempotency key -> offset of its event in the log
        # A hit costs less than checking the digits again. The object found stays the same one when
        # its balance changes, so the cache can't be stale; errors are not kept.
        self.account = lru_cache(maxsize=100_000)(self._find)

    @classmethod
    def open(cls, folder: Path, fsync: str = "batch", batch: int = 10_000) -> Self:
        """The books in `folder`, made if need be: the newest snapshot, and what follows it.

        Raises LogInUse when another process writes them, LogDamaged when they can't be trusted.
        """
        folder.mkdir(parents=True, exist_ok=True)
        log = EventLog(folder / LOG_NAME, fsync, batch)
        try:
            bank, keys, offset = snapshots.load(folder, log.size)
            replay(log, bank, keys, offset)
        except BaseException:
            log.close()
            raise
        return cls(log, bank, keys)

    def close(self) -> None:
        """Put everything on the disk and let others open the books."""
        self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def event(self, key: str) -> Event:
        """The event that the request with this key caused; BadRequest if there is none."""
        if key not in self.keys:
            raise BadRequest(f"no request had the key {key!r}")
        return decode(self.log.text_at(self.keys[key]))

    def state_of(self, key: str) -> State:
        """Where the transaction with this key stands."""
        return self.bank.moved.get(key) or FIRST_STATE.get(type(self.event(key)), POSTED)

    def snapshot(self) -> Path:
        """Write down what follows from the log up to here, so that a start reads only the rest."""
        self.log.sync()
        return snapshots.save(self.log.path.parent, self.bank, self.keys, self.log.size)

    def next(self, at: int) -> tuple[int, int]:
        """Number and time of the next event: a clock that is put back doesn't reorder history."""
        bank = self.bank
        return bank.number + 1, at if at >= bank.at else bank.at

    def accept(self, event: Any, outcome: State = POSTED) -> Receipt:
        """Append, then apply: what the disk refused never happened."""
        if not event.key:
            raise BadRequest("a request needs an idempotency key: any text that no other one has")
        try:
            offset = self.log.append(encode(event))
        except UnicodeEncodeError as error:
            raise BadRequest(f"a text that can't be written as UTF-8: {error}") from None
        self.keys[event.key] = offset
        self.bank.apply(event)
        return Receipt(outcome, event)

    def exists(self, key: str, request: str, **content: Any) -> Receipt:
        """The answer to a request that comes again; KeyReused when it is another one.

        `content` is what was asked for; the rest of the event is what we answered.
        """
        event = self.event(key)
        recorded = getattr(event, "request", type(event).__name__)
        same = all(getattr(event, name, value) == value for name, value in content.items())
        if recorded != request or not same:
            raise KeyReused(
                f"the key {key!r} belongs to another request ({recorded}, event {event.number}): "
                "a new request needs a key of its own"
            )
        return Receipt("exists", event)

    def _find(self, number: str) -> Account:
        """The account with this number; BadRequest when it can't exist or doesn't."""
        if not is_account_number(number):
            raise BadRequest(f"{number!r} is no account number: form or check digits are wrong")
        if number not in self.bank.accounts:
            raise BadRequest(f"there is no account {number}")
        return self.bank.accounts[number]


def replay(log: EventLog, bank: Bank, keys: dict[str, int], offset: int = 0) -> None:
    """Let what stands in the log from `offset` on happen to `bank`, and index its keys."""
    apply, number = bank.apply, bank.number
    with no_cycles():
        for place, text in log.lines(offset):
            event = decode(text)
            number += 1
            if event.number != number:
                raise LogDamaged(
                    f"{log.path}: after event {number - 1} comes {event.number} (byte {place}). "
                    "Lines are missing, or a snapshot is of another log. Restore both from a copy."
                )
            keys[event.key] = place
            apply(event)


@contextmanager
def no_cycles() -> Iterator[None]:
    """The block makes no cycles: keep the collector from looking at what it piles up."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
