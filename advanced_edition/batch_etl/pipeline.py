"""The pipeline: extract and transform outside of the transaction, load and checkpoint inside."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from batch_etl.records import Block, Position, Refused, Source
from batch_etl.schema import InvalidRowError, Order, enrich, validate
from batch_etl.target import Account, Checkpoint, RunError, Target

COMMIT_ROWS = 10_000  # rows of one transaction: they are in memory together


class TooManyBadRowsError(RunError):
    """A source so bad that the whole run was taken back."""


@dataclass
class Metrics:
    """A run in numbers. `accounts` cover the whole run; the times only what this process did."""

    run: str
    accounts: dict[str, Account] = field(default_factory=dict)
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    rows_now: int = 0
    commits: int = 0
    troubles: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> Account:
        """The account of all sources together."""
        return sum(self.accounts.values(), Account())

    @property
    def rows_per_second(self) -> float:
        """Rows that this process took in a second."""
        return self.rows_now / self.seconds if self.seconds else 0.0


STAGES = ("extract", "transform", "load")


@dataclass
class Chunk:
    """What one transaction takes: good orders, refused rows, and the position after them."""

    orders: list[Order] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    position: Position | None = None

    def __len__(self) -> int:
        return len(self.orders) + len(self.refused)


def transform(block: Block, chunk: Chunk) -> None:
    """Validate, clean and enrich the rows of `block` into `chunk`; the bad ones are refused."""
    keep = chunk.orders.append
    chunk.refused += block.refused
    for index, row in enumerate(block.rows):
        try:
            keep(enrich(validate(row)))
        except InvalidRowError as error:
            raw = block.raws[index]
            chunk.refused.append(Refused(block.lines[index], raw, str(error)))
    chunk.position = block.position


def chunks(
    source: Source, position: Position | None, rows: int, metrics: Metrics
) -> Iterator[Chunk]:
    """The source from `position` in chunks of at least `rows` rows, the last one smaller."""
    chunk, blocks = Chunk(), source.blocks(position)
    start = time.perf_counter()
    for block in blocks:
        extracted = time.perf_counter()
        transform(block, chunk)
        done = time.perf_counter()
        metrics.stages["extract"] += extracted - start
        metrics.stages["transform"] += done - extracted
        if len(chunk) >= rows:
            yield chunk
            chunk = Chunk()
        start = time.perf_counter()
    if chunk.position is not None:
        yield chunk


def load(target: Target, run: int, source: str, before: Checkpoint, chunk: Chunk) -> Checkpoint:
    """One transaction: the orders, the quarantine and the checkpoint, together or not at all.

    Raises RunError when another process has gone on with the same run meanwhile.
    """
    with target.transaction():
        if target.checkpoint(run, source).position != before.position:
            raise RunError(f"Another process loads {source} in the same run. Let it finish.")
        account = target.load(run, chunk.orders)
        target.quarantine(run, source, sorted(chunk.refused))
        account += Account(rows_in=len(chunk), quarantined=len(chunk.refused))
        after = Checkpoint(chunk.position, before.account + account)
        target.save_checkpoint(run, source, after.position or {}, after.account)
    return after


def run_etl(
    target: Target,
    name: str,
    sources: Iterable[Source],
    commit_rows: int = COMMIT_ROWS,
    stop_above: float = 1.0,
) -> Metrics:
    """Load all `sources` in the run `name`, from where this run was left.

    The same run again finds nothing to do. Raises TooManyBadRowsError, and takes the run back, when
    more than `stop_above` (a share) of the rows read are quarantined; SourceError when a source
    can't be read: what was committed stays, and the same run goes on there.
    """
    begin, metrics = time.perf_counter(), Metrics(name)
    run = target.run_number(name)
    for source in sources:
        checkpoint = target.checkpoint(run, source.name)
        for chunk in chunks(source, checkpoint.position, commit_rows, metrics):
            start = time.perf_counter()
            checkpoint = load(target, run, source.name, checkpoint, chunk)
            metrics.stages["load"] += time.perf_counter() - start
            metrics.rows_now += len(chunk)
            metrics.commits += 1
            stop_if_bad(target, name, source.name, checkpoint.account, stop_above)
            del chunk  # or it would stay in memory while the next one is filled
        metrics.accounts[source.name] = checkpoint.account
        metrics.troubles.update(getattr(source, "troubles", {}))
    metrics.seconds = time.perf_counter() - begin
    return metrics


def stop_if_bad(target: Target, name: str, source: str, account: Account, most: float) -> None:
    """Undo the run when too large a share of a source's rows was refused."""
    if account.quarantined > most * account.rows_in:
        target.undo(name)
        raise TooManyBadRowsError(
            f"{account.quarantined / account.rows_in:.0%} of {source} breaks the rules.\n"
            f"These are {account.quarantined:,} of {account.rows_in:,} rows, and {most:.0%} are "
            f"allowed. The run {name!r} was taken back. Look at the source."
        )
