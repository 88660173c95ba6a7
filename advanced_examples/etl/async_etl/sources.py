"""Extraction: series of records from a source, page by page, and records from a file."""

import csv
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from async_etl.client import Client, SourceError
from async_etl.records import KINDS, Kind
from async_etl.rules import a_text, a_time

FILE_PAGE = 1_000  # lines


@dataclass(slots=True)
class Page:
    """Raw records of one kind: JSON objects, or lines of CSV that carry their own as_of."""

    kind: Kind
    rows: Sequence[Any]
    as_of: datetime | None
    origin: str  # the series or the file


@dataclass(frozen=True)
class Series:
    """The observations of one city or symbol: `key` is its name, `since` where to begin."""

    kind: Kind
    key: str
    since: datetime

    @property
    def path(self) -> str:
        """Where the source has it."""
        return f"/{self.kind.name}/{quote(self.key, safe='')}/history"

    def __str__(self) -> str:
        return f"{self.kind.name} {self.key}"


def series_of(kind: str, keys: Sequence[str], as_of: datetime, **window: int) -> list[Series]:
    """One series for each key, from `window` (hours=… or days=…) before `as_of`."""
    since = as_of - timedelta(**window)
    return [Series(KINDS[kind], key, since) for key in dict.fromkeys(keys)]


async def ask_clock(client: Client, knobs: Mapping[str, Any]) -> datetime:
    """The source's time: whatever it says in this run is known as of then. SourceError."""

    def check(answer: Any) -> datetime:
        return a_time(answer.get("now") if isinstance(answer, dict) else None)

    return await client.get("/", check, **knobs)


def read_page(answer: Any, series: Series) -> tuple[list[Any], str | None]:
    """(the rows with their series' name in them, the next page's address); ValueError."""
    name = series.kind.given[0]
    if not isinstance(answer, dict) or not isinstance(answer.get("rows"), list):
        raise ValueError("no object with rows")
    if a_text(answer.get(name)).casefold() != series.key.casefold():
        raise ValueError(f"{name} is not {series.key}")
    following = answer.get("next")
    if following is not None and not a_text(following).startswith(f"{series.path}?"):
        raise ValueError("the next page is elsewhere")
    rows = [{name: answer[name], **row} if isinstance(row, dict) else row for row in answer["rows"]]
    return rows, following


async def pages(
    client: Client, series: Series, as_of: datetime, page_rows: int, knobs: Mapping[str, Any]
) -> AsyncIterator[Page]:
    """Ask for the series page by page; SourceError where it can't be had."""
    query: dict[str, Any] = {"since": series.since.isoformat(), "limit": page_rows, **knobs}
    seen: set[str] = set()
    path = series.path

    def check(answer: Any) -> tuple[list[Any], str | None]:
        rows, following = read_page(answer, series)
        if following in seen:
            raise ValueError("the pages go in circles")
        return rows, following

    while True:
        rows, following = await client.get(path, check, **query)
        yield Page(series.kind, rows, as_of, str(series))
        if following is None:
            return
        seen.add(following)
        path, query = following, {}


def file_pages(path: Path, kind: Kind) -> Iterator[Page]:
    """The lines of a CSV file whose columns are those of the kind, without a heading."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        lines = csv.reader(file)
        try:
            while rows := list(islice(lines, FILE_PAGE)):
                yield Page(kind, rows, None, path.name)
        except csv.Error as error:
            raise SourceError(f"line {lines.line_num}: {error}") from None
