"""What travels from a source to the target: blocks of rows, each with the bytes it came as."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

# Where to go on in a source, as plain values that JSON can hold.
Position = dict[str, Any]


class Refused(NamedTuple):
    """A row for the quarantine: its line in the source (from 1), its raw bytes, the reason."""

    line: int
    raw: bytes
    reason: str


@dataclass
class Block:
    """Some rows of a source, in its order; `position` is where the source goes on after them.

    `rows`, `raws` and `lines` go together; `refused` are those that could not even be parsed.
    """

    rows: Sequence[list]
    raws: Sequence[bytes]
    lines: Sequence[int]
    refused: list[Refused]
    position: Position

    def __len__(self) -> int:
        return len(self.rows) + len(self.refused)


class Source(Protocol):
    """Anything that brings rows in a fixed order and can go on from a position."""

    name: str

    def blocks(self, position: Position | None) -> Iterator[Block]:
        """The blocks after `position`, or from the beginning."""
        ...


class SourceError(Exception):
    """A source that can't be read any further: says which, why and what to do."""
