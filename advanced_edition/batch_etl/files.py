"""Sources that are files: CSV and JSON Lines, read in blocks, each row with its raw bytes.

A position is the byte where the next row begins, its line, and a checksum of all bytes before it.
Who goes on from a position reads those bytes again: a file that was changed meanwhile is refused.
"""

import csv
import json
import zlib
from collections.abc import Iterator, Sequence
from itertools import compress, repeat
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from batch_etl.records import Block, Position, Refused, SourceError
from batch_etl.schema import NAMES, WIDTH, shorten

PIECE = 16 * 1024  # bytes read at once: few enough rows to stay in the processor's cache
LONGEST_LINE = 1024 * 1024  # bytes; a longer line comes in parts, which the schema refuses
RECORD_LINES = 50  # a quoted CSV field may hold line breaks, but not without end
BOM = b"\xef\xbb\xbf"

# Numbers stay the text that they are in the source, so that one schema serves all sources.
_decode_json = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).decode
_in_order = itemgetter(*NAMES)


def as_text(lines: Sequence[bytes]) -> list[str]:
    """Lines as text; bytes that are no UTF-8 stay recognisable, and the schema refuses them."""
    return list(map(bytes.decode, lines, repeat("utf-8"), repeat("surrogateescape")))


class LineFile:
    """A file of lines; what a row is says the subclass in `parse`."""

    def __init__(self, path: Path, name: str = "", piece: int = PIECE) -> None:
        self.path, self.name, self.piece = path, name or path.name, piece

    def blocks(self, position: Position | None) -> Iterator[Block]:
        """The blocks of rows after `position`. Raises SourceError for a changed file."""
        try:
            with self.path.open("rb") as file:
                yield from self._blocks(file, self.begin(file), position)
        except OSError as error:
            raise SourceError(f"{self.name} can't be read: {error.strerror}.") from error

    def begin(self, file: BinaryIO) -> Position:
        """The position of the first row."""
        return {"offset": 0, "line": 1, "crc": 0}

    def parse(self, lines: Sequence[bytes], line: int, at_end: bool) -> tuple[Block, int]:
        """The rows in `lines`, the first of which is number `line`, and how many lines they took.

        Lines that were not taken come again, with the following ones.
        """
        raise NotImplementedError

    def _blocks(
        self, file: BinaryIO, start: Position, position: Position | None
    ) -> Iterator[Block]:
        at = position or start
        if position:
            self._verify(file, position)
        file.seek(at["offset"])
        left, at_end = b"", False
        while not at_end:
            piece = file.read(self.piece)
            at_end = len(piece) < self.piece
            lines = (left + piece).splitlines(keepends=True)
            cut = [] if at_end else lines[-1:]  # perhaps half a line: its rest comes
            if cut and (cut[0].endswith(b"\n") or len(cut[0]) > LONGEST_LINE):
                cut = []
            whole = lines[: len(lines) - len(cut)]
            block, taken = self.parse(whole, at["line"], at_end)
            left, raw = b"".join(lines[taken:]), b"".join(lines[:taken])
            at = {
                "offset": at["offset"] + len(raw),
                "line": at["line"] + taken,
                "crc": zlib.crc32(raw, at["crc"]),
            }
            block.position = at
            if taken:
                yield block

    def _verify(self, file: BinaryIO, position: Position) -> None:
        file.seek(0)
        crc, to_read = 0, position["offset"]
        while to_read and (piece := file.read(min(PIECE, to_read))):
            crc, to_read = zlib.crc32(piece, crc), to_read - len(piece)
        if to_read or crc != position["crc"]:
            raise SourceError(
                f"{self.name} was changed after a part was loaded.\nBring the old file back, "
                "or undo the run and load the new one under another run name."
            )


class CsvFile(LineFile):
    """A CSV file whose header names the fields of the schema, in any order."""

    columns: list[int] | None = None

    def begin(self, file: BinaryIO) -> Position:
        """The position after the header. Raises SourceError for another header."""
        header = file.readline(LONGEST_LINE)
        (found,) = csv.reader(as_text([header.removeprefix(BOM)])) if header.strip() else ([],)
        names = [name.strip().lower() for name in found]
        if sorted(names) != sorted(NAMES):
            raise SourceError(
                f"{self.name} begins with {shorten(','.join(names), 100)}. Expected a header with "
                f"{','.join(NAMES)}."
            )
        self.columns = None if names == list(NAMES) else [names.index(name) for name in NAMES]
        return {"offset": len(header), "line": 2, "crc": zlib.crc32(header)}

    def parse(self, lines: Sequence[bytes], line: int, at_end: bool) -> tuple[Block, int]:
        """The rows; nearly always a row is a line, and then this is fast."""
        try:
            rows = list(csv.reader(as_text(lines), strict=True))
        except csv.Error:
            rows = []
        if len(rows) == len(lines):
            block, taken = Block(rows, lines, range(line, line + len(lines)), [], {}), len(lines)
        else:
            block, taken = self._one_by_one(lines, line, at_end)
        return self._tidy(block), taken

    def _one_by_one(self, lines: Sequence[bytes], line: int, at_end: bool) -> tuple[Block, int]:
        """The rows where some are broken or have several lines.

        A broken quote would swallow what follows. So a row that can't be parsed costs its first
        line only, and reading goes on with the next one.
        """
        block, taken, texts = Block([], [], [], [], {}), 0, as_text(lines)
        while taken < len(lines) and (at_end or len(lines) - taken >= RECORD_LINES):
            used, reason = 1, ""
            try:
                reader = csv.reader(texts[taken : taken + RECORD_LINES], strict=True)
                row = next(reader)
                if reader.line_num > 1 and len(row) != WIDTH:
                    reason = f"{len(row)} fields over {reader.line_num} lines, a quote is broken"
                else:
                    used = reader.line_num
            except csv.Error as error:
                reason = f"no CSV: {error}"
            raw = b"".join(lines[taken : taken + used])
            if reason:
                block.refused.append(Refused(line + taken, raw, reason))
            else:
                block.rows.append(row)
                block.raws.append(raw)
                block.lines.append(line + taken)
            taken += used
        return block, taken

    def _tidy(self, block: Block) -> Block:
        """Leave out empty lines, which are no rows, and bring columns into the schema's order."""
        if not all(block.rows):
            block.raws = list(compress(block.raws, block.rows))
            block.lines = list(compress(block.lines, block.rows))
            block.rows = list(filter(None, block.rows))
        if self.columns:
            order = itemgetter(*self.columns)
            block.rows = [list(order(r)) if len(r) == WIDTH else r for r in block.rows]
        return block


class JsonLinesFile(LineFile):
    """A file with one JSON object a line, whose keys are the fields of the schema."""

    def parse(self, lines: Sequence[bytes], line: int, at_end: bool) -> tuple[Block, int]:
        """The rows: each line is one."""
        return parse_json_lines(lines, line), len(lines)


def parse_json_lines(lines: Sequence[bytes], line: int) -> Block:
    """The rows in `lines`, the first of which is number `line`; empty lines are no rows."""
    block = Block([], [], [], [], {})
    for number, (raw, text) in enumerate(zip(lines, as_text(lines), strict=True), line):
        if not text.strip():
            continue
        try:
            record = _decode_json(text.removeprefix("\ufeff"))
            row = _in_order(record)
            if len(record) != WIDTH:
                raise KeyError(*(record.keys() - set(NAMES)))
        except (ValueError, RecursionError) as error:
            block.refused.append(Refused(number, raw, f"no JSON: {shorten(str(error))}"))
        except (KeyError, TypeError):
            block.refused.append(Refused(number, raw, wrong_keys(record)))
        else:
            block.rows.append(row)
            block.raws.append(raw)
            block.lines.append(number)
    return block


def wrong_keys(record: object) -> str:
    """Why `record` is no object with the keys of the schema."""
    if not isinstance(record, dict):
        return f"{shorten(record)} is not a JSON object"
    missing = [name for name in NAMES if name not in record]
    unknown = sorted(record.keys() - set(NAMES))
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"unknown: {shorten(', '.join(unknown))}"] if unknown else []
    return "; ".join(parts)
