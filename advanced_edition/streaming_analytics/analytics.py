"""Statistics of a stream of rows, in memory that does not grow with it.

    analytics = StreamingAnalytics()
    for row in stream_csv("sales.csv"):
        analytics.process_row(row)
    print(analytics.get_summary())

What was counted by several of them can be merged, in any order, to what one would have counted.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple, Protocol, TypeVar

from course.errors import UsageError
from streaming_analytics.moments import Fixed, Moments, Number
from streaming_analytics.reader import Batch, Row, Unreadable
from streaming_analytics.sketches import DDSketch, HeavyHitters, HyperLogLog
from streaming_analytics.windows import Panes

TODAY = date(2025, 10, 26)
QUANTILES = (0.5, 0.95, 0.99)
MOST_GROUPS = 10_000
K = TypeVar("K", bound=Hashable)


class Source(Protocol):
    """Where rows come from, and the line on which one of them begins (0: not known)."""

    header: list[str]

    def line_of(self, row: Row) -> int: ...


@dataclass(frozen=True)
class Columns:
    """The names of the columns that are used; `header` is the first row of the file.

    The last three are for sketches: `customer` is counted once each, `product` looked through for
    heavy ones, `time` begins with a date.
    """

    header: tuple[str, ...] = (
        "sale_id", "sold_at", "store", "customer", "product", "category", "quantity", "amount"
    )  # fmt: skip
    group: str = "category"
    value: str = "amount"
    customer: str = "customer"
    product: str = "product"
    time: str = "sold_at"

    def place(self, name: str) -> int:
        """Where in a row the column stands; UsageError if there is no such column."""
        if name not in self.header:
            has = ", ".join(self.header)
            raise UsageError(f"The file has no column {name!r}. It has: {has}.")
        return self.header.index(name)


class Bad(NamedTuple):
    """A row that could not be counted: the line on which it begins, and why."""

    line: int
    reason: str
    row: str


class Quarantine:
    """Bad rows: how many for which reason, and the first ones by line."""

    KEPT, LONGEST = 200, 60

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self._rows: list[Bad] = []

    def add(self, line: int, reason: str, row: Row) -> None:
        """Put a row aside; what follows the colon of the reason is its own."""
        self.reasons[reason.partition(":")[0]] += 1
        self._rows.append(Bad(line, reason, ",".join(row)[: self.LONGEST]))
        if len(self._rows) > 2 * self.KEPT:
            self._rows = self.rows

    def merge(self, other: "Quarantine") -> None:
        """Take over all that `other` has put aside."""
        self.reasons.update(other.reasons)
        self._rows = sorted(self._rows + other._rows)[: self.KEPT]

    @property
    def rows(self) -> list[Bad]:
        """The first of them, at most `KEPT`."""
        return sorted(self._rows)[: self.KEPT]


class Groups(dict[str, Moments]):
    """Moments for every group, made when its first row comes."""

    def __init__(self, number: Number) -> None:
        super().__init__()
        self.number = number

    def __missing__(self, name: str) -> Moments:
        if len(self) >= MOST_GROUPS:
            raise UsageError(
                f"More than {MOST_GROUPS:,} groups would not be bounded memory. Group by a column "
                "with fewer values, or count its values with a sketch."
            )
        self[name] = self.number.moments()
        return self[name]


def grouped(keys: Iterable[K], values: Iterable[float]) -> dict[K, list[float]]:
    """The values of each key."""
    values_of: defaultdict[K, list[float]] = defaultdict(list)
    for key, value in zip(keys, values, strict=True):
        values_of[key].append(value)
    return values_of


class Sketches:
    """Quantiles for every group; different customers, heavy products and daily sales for all."""

    def __init__(self, columns: Columns, number: Number) -> None:
        names = (columns.customer, columns.product, columns.time)
        self._customer, self._product, self._time = map(columns.place, names)
        self.quantiles: defaultdict[str, DDSketch] = defaultdict(DDSketch)
        self.customers, self.products = HyperLogLog(), HeavyHitters()
        self.panes = Panes(number, TODAY)

    def check(self, row: Row) -> None:
        """ValueError for a date that can't be."""
        self.panes.day_of(row[self._time])

    def add(self, rows: Sequence[Row], values: Sequence[float]) -> None:
        """Count rows that have been checked."""
        day_of, time = self.panes.day_of, self._time
        self.panes.add_all(grouped((day_of(row[time]) for row in rows), values))
        self.customers.add_all(row[self._customer] for row in rows)
        self.products.add_all(row[self._product] for row in rows)

    def merge(self, other: "Sketches") -> None:
        """Count all that `other` has counted."""
        for group, sketch in other.quantiles.items():
            self.quantiles[group].merge(sketch)
        self.customers.merge(other.customers)
        self.products.merge(other.products)
        self.panes.merge(other.panes)


class StreamingAnalytics:
    """Count, mean, variance, least and greatest value per group; with `sketches`, more.

    `source` (what `stream_csv` returned) tells where the columns are and on which line a bad row
    stands. Without it, rows must be as `columns.header` says, and bad rows have no line (0).
    """

    def __init__(
        self,
        columns: Columns | None = None,
        number: Number | None = None,
        source: Source | None = None,
        sketches: bool = False,
    ) -> None:
        columns = columns or Columns()
        if source:
            columns = Columns(**{**vars(columns), "header": tuple(source.header)})
        self.columns, self.number, self.source = columns, number or Fixed(), source
        self.groups = Groups(self.number)
        self.quarantine = Quarantine()
        self.sketches = Sketches(columns, self.number) if sketches else None
        self._width = len(columns.header)
        self._group, self._value = columns.place(columns.group), columns.place(columns.value)
        self._parse = self.number.parse

    def process_row(self, row: Row) -> None:
        """Count one row, or put it into quarantine."""
        if self.sketches:
            self.process_rows([row])
            return
        try:
            if len(row) != self._width:
                raise self._wrong_width(row)
            value = self._parse(row[self._value])
        except ValueError as problem:
            self._put_aside(row, str(problem))
        else:
            self.groups[row[self._group]].add(value)

    def process_rows(self, batch: Sequence[Row]) -> None:
        """Count many rows at once: functions that loop in C do most of the work."""
        batch = batch if isinstance(batch, Batch) else Batch(batch)
        try:
            values = self._read_all(batch)
        except ValueError:
            batch, values = self._read_with_care(batch)
        names = batch.column(self._group)
        for name, its_values in grouped(names, values).items():
            self.groups[name].add_all(its_values)
            if self.sketches:
                self.sketches.quantiles[name].add_all(its_values)
        if self.sketches:
            self.sketches.add(batch.rows, values)

    def _read(self, row: Row) -> float:
        """The value of the row; ValueError if anything about it is wrong."""
        if len(row) != self._width:
            raise self._wrong_width(row)
        if self.sketches:
            self.sketches.check(row)
        return self._parse(row[self._value])

    def _read_all(self, batch: Batch) -> list:
        """The values of the rows; ValueError if only one row is unusual."""
        if batch.width != self._width:
            raise ValueError("not all rows have all columns")
        if self.sketches:
            for row in batch.rows:
                self.sketches.check(row)
        return self.number.parse_all(batch.column(self._value))

    def _read_with_care(self, batch: Batch) -> tuple[Batch, list]:
        """The good rows and their values; the bad ones are put into quarantine."""
        rows, values = [], []
        for row in batch.rows:
            try:
                values.append(self._read(row))
                rows.append(row)
            except ValueError as problem:
                self._put_aside(row, str(problem))
        return Batch(rows), values

    def merge(self, other: "StreamingAnalytics") -> "StreamingAnalytics":
        """Count all that `other` has counted; returns itself. ValueError if it counts otherwise."""
        same = (self.columns, self.number, bool(self.sketches))
        if same != (other.columns, other.number, bool(other.sketches)):
            raise ValueError("only analytics of the same columns and numbers can be merged")
        for group, moments in other.groups.items():
            self.groups[group].merge(moments)
        self.quarantine.merge(other.quarantine)
        if self.sketches and other.sketches:
            self.sketches.merge(other.sketches)
        return self

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return sum(moments.count for moments in self.groups.values())

    def get_summary(self) -> dict[str, Any]:
        """All that is known, as plain dictionaries; the same for any order of the rows."""
        summary: dict[str, Any] = {
            "rows": self.rows,
            "quarantined": self.quarantine.reasons.total(),
            "reasons": dict(sorted(self.quarantine.reasons.items())),
            "groups": {name: self._shown(self.groups[name]) for name in sorted(self.groups)},
        }
        return summary | self._sketched() if self.sketches else summary

    def _shown(self, moments: Moments) -> dict[str, Any]:
        shown = self.number.shown
        return {
            "count": moments.count,
            "mean": shown(moments.mean),
            "variance": shown(moments.variance, power=2),
            "min": shown(moments.low),
            "max": shown(moments.high),
        }

    def _sketched(self) -> dict[str, Any]:
        sketches = self.sketches
        unit = float(self.number.shown(1))
        return {
            "quantiles": {
                name: {q: sketch.quantile(q) * unit for q in QUANTILES}
                for name, sketch in sorted(sketches.quantiles.items())
            },
            "customers": sketches.customers.estimate(),
            "products": sketches.products.heavy(),
            "late": sketches.panes.late,
            "weeks": {day: self._shown(window) for day, window in sketches.panes.windows(7)
                      if window.count},
        }  # fmt: skip

    def _wrong_width(self, row: Row) -> ValueError:
        return ValueError(f"a row of {len(row)} columns instead of {self._width}")

    def _put_aside(self, row: Row, reason: str) -> None:
        if isinstance(row, Unreadable):
            reason = f"unreadable: {row.reason}"
        elif not any(row) and len(row) < 2:
            return  # an empty line is no row
        line = self.source.line_of(row) if self.source else 0
        self.quarantine.add(line, reason, row)
