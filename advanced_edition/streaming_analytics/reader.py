"""Reading a CSV file of any size: as rows, as batches of rows, and in sections side by side."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from types import TracebackType

from course.errors import UsageError

CHUNK = 16 * 1024  # bytes read at once: more of them take memory and bring no speed
KEEP = "surrogateescape"  # what to do with bytes that are no UTF-8
BLOCK = 1 << 20  # bytes


Row = list[str]


class Unreadable(list[str]):
    """Stands in a batch for a row that the CSV parser gave up; `reason` is what it said."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class Batch(Sequence[Row]):
    """Some rows; `lines` has for each one the line of the file on which it begins."""

    def __init__(self, rows: Sequence[Row], lines: Sequence[int] = ()) -> None:
        self.rows, self.lines = rows, lines

    @property
    def width(self) -> int:
        """How many columns all rows have; 0 if they differ."""
        widths = set(map(len, self.rows))
        return widths.pop() if len(widths) == 1 else 0

    def column(self, place: int) -> list[str]:
        """One field of every row."""
        return list(map(itemgetter(place), self.rows))

    def line_of(self, row: Row) -> int:
        """Where this very row begins; 0 if it is not one of the batch."""
        return next(
            (line for own, line in zip(self.rows, self.lines, strict=True) if own is row), 0
        )

    def __getitem__(self, index: int) -> Row:  # type: ignore[override]
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.lines) or len(self.rows)


class Table(Batch):
    """A batch in one flat list, where a "\\n" follows each row: a column is every n-th field.

    Its rows are made only when somebody asks for them.
    """

    def __init__(self, fields: list[str], width: int, lines: Sequence[int]) -> None:
        self.fields, self.lines, self._width = fields, lines, width

    @property
    def width(self) -> int:
        """How many columns each row has."""
        return self._width

    @cached_property
    def rows(self) -> list[Row]:  # type: ignore[override]
        """The rows as lists."""
        width, fields = self._width, self.fields
        return [fields[start : start + width] for start in range(0, len(fields), width + 1)]

    def column(self, place: int) -> list[str]:
        """One field of every row."""
        return self.fields[place :: self._width + 1]


@dataclass(frozen=True)
class Section:
    """Whole rows of a file: bytes `start` to `end`; the first one begins on `line`."""

    start: int
    end: int
    line: int = 1


class CsvRows:
    """The rows below the header, one at a time or in batches; closes its file at the end.

    Only what is being worked on is in memory. A byte that is no UTF-8 stays in its row (as a
    surrogate) instead of ending the file.
    """

    def __init__(self, path: Path, section: Section | None, chunk_size: int) -> None:
        section = section or Section(0, path.stat().st_size)
        self._chunk_size, self._end = chunk_size, section.end
        self.header, height = _header(path)
        self._file = path.open("rb")
        self._file.seek(section.start)
        self.line = section.line
        self._batch = Batch([])
        if section.start == 0:
            self.line += len(list(islice(self._file, height)))

    def __iter__(self) -> Iterator[Row]:
        for batch in self._batches(self._cut):
            yield from batch.rows

    def batches(self) -> Iterator[Batch]:
        """The rows in batches: those that begin in one chunk of the file."""
        return self._batches(self._table)

    def _batches(self, cut: Callable[[str], Batch]) -> Iterator[Batch]:
        """A chunk without a quotation mark needs no parser.

        `split` gives what `csv.reader` would give, in half of the time.
        """
        with self:
            while text := self._whole_lines():
                plain = text.replace("\r\n", "\n")
                parser_needed = '"' in plain or "\r" in plain
                self._batch = self._parse(text) if parser_needed else cut(plain)
                self.line += len(self._batch) if not parser_needed else 0
                yield self._batch

    def _whole_lines(self) -> str:
        """The next chunk up to the end of a line; '' at the end of the section."""
        chunk = self._file.read(min(self._chunk_size, self._end - self._file.tell()))
        if chunk and not chunk.endswith(b"\n"):
            chunk += self._file.readline()
        return chunk.decode(errors=KEEP)

    def _cut(self, text: str) -> Batch:
        """The rows of whole lines without quotation marks."""
        rows = [line.split(",") for line in text.removesuffix("\n").split("\n")]
        return Batch(rows, range(self.line, self.line + len(rows)))

    def _table(self, text: str) -> Batch:
        """The same as one list of fields, where every row has the width of the header."""
        width, count = len(self.header), text.count("\n")
        fields = text.replace("\n", ",\n,").split(",")[:-1]
        if fields[width :: width + 1] != ["\n"] * count:
            return self._cut(text)
        return Table(fields, width, range(self.line, self.line + count))

    def _parse(self, text: str) -> Batch:
        """The rows that begin in the text; the last one may go on in the lines that follow."""
        lines, begins = list(StringIO(text, newline="\n")), []
        rows: list[Row] = []
        reader = csv.reader(chain(lines, (line.decode(errors=KEEP) for line in self._file)))
        while reader.line_num < len(lines):
            begins.append(self.line + reader.line_num)
            try:
                rows.append(next(reader))
            except csv.Error as error:
                rows.append(Unreadable(str(error)))
        self.line += reader.line_num
        return Batch(rows, begins)

    def line_of(self, row: Row) -> int:
        """The line on which a row begins that was read just now, 0 for any other."""
        return self._batch.line_of(row)

    def close(self) -> None:
        """Close the file; reading to the end does so too."""
        self._file.close()

    def __enter__(self) -> "CsvRows":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def stream_csv(
    path: Path | str, section: Section | None = None, chunk_size: int = CHUNK
) -> CsvRows:
    """The rows of the CSV file (UTF-8, with a header), or of one section of it.

    `chunk_size` bytes are in memory at once, with the rows in them.

    Raises UsageError when there is no such file or nothing in it.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"There is no file {path}. Give the path of a CSV file.")
    return CsvRows(path, section, chunk_size)


def split(path: Path, parts: int) -> list[Section]:
    """At most `parts` sections of about the same size, which together are the file.

    A newline ends a row only when the number of quotation marks before it is even, so they are
    counted from the start: bytes are counted 20 times as fast as rows are read. This holds for
    files as RFC 4180 wants them, with no quotation mark inside an unquoted field.
    """
    size, sections = path.stat().st_size, []
    begin, line, begin_line, quotes = 0, 1, 1, 0
    with path.open("rb") as file:
        for number in range(1, parts + 1):
            goal = size * number // parts
            while block := file.read(min(BLOCK, max(0, goal - file.tell()))) or file.readline():
                line, quotes = line + block.count(b"\n"), quotes + block.count(b'"')
                if file.tell() >= goal and block.endswith(b"\n") and quotes % 2 == 0:
                    break
            if file.tell() > begin:
                sections.append(Section(begin, file.tell(), begin_line))
            begin, begin_line = file.tell(), line
    return sections


def _header(path: Path) -> tuple[list[str], int]:
    """The names in the first row, and on how many lines they stand."""
    with path.open(encoding="utf-8-sig", errors=KEEP, newline="\n") as file:
        reader = csv.reader(file)
        try:
            return next(reader), reader.line_num
        except (StopIteration, csv.Error):
            raise UsageError(f"{path} has no first row with the names of its columns.") from None
