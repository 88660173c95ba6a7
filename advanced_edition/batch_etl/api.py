"""The source that is a paged HTTP API, with a client that expects it to misbehave.

`GET /orders?page=N` answers with JSON Lines: a page's rows, then `{"rows": 100, "next": 2}`, where
next is null on the last page. The last line is how the client knows that a page came whole.
"""

import http.client
import io
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from batch_etl.files import parse_json_lines
from batch_etl.records import Block, Position, SourceError
from batch_etl.schema import shorten

ATTEMPTS = 6
FIRST_WAIT, LONGEST_WAIT = 0.05, 30.0  # seconds
PATIENCE = 10.0  # seconds for an answer
_open = build_opener(ProxyHandler({})).open  # the partner is reached directly
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}


class GarbagePageError(Exception):
    """A page that is not what the API promises, although the answer was 200."""


class ApiSource:
    """The orders of a partner; `troubles` counts what went wrong and was asked again."""

    def __init__(
        self, url: str, name: str = "partner-api", wait: Callable[[float], None] = time.sleep
    ) -> None:
        self.url, self.name, self.wait = url.rstrip("/"), name, wait
        self.troubles: Counter[str] = Counter()

    def blocks(self, position: Position | None) -> Iterator[Block]:
        """One block a page. Raises SourceError when a page doesn't come."""
        at = position or {"page": 1, "line": 1}
        while at["page"] is not None:
            lines, following = self.page(at["page"])
            block = parse_json_lines(lines, at["line"])
            at = block.position = {"page": following, "line": at["line"] + len(lines)}
            yield block

    def page(self, number: int) -> tuple[list[bytes], int | None]:
        """The lines of page `number`, and the number of the next one or None."""
        for attempt in range(1, ATTEMPTS + 1):
            pause = random.uniform(0.5, 1) * FIRST_WAIT * 2 ** (attempt - 1)
            try:
                return read_page(f"{self.url}/orders?page={number}")
            except HTTPError as error:
                error.close()
                if error.code not in TEMPORARY:
                    raise SourceError(
                        f"{self.name} answers {error.code} for {error.url}."
                    ) from error
                trouble, reason = f"status {error.code}", error
                pause = max(pause, retry_after(error.headers.get("Retry-After")))
            except GarbagePageError as error:
                trouble, reason = "garbage page", error
            except (OSError, http.client.HTTPException) as error:
                trouble, reason = "connection lost", error
            self.troubles[trouble] += 1
            if attempt < ATTEMPTS:
                self.wait(min(pause, LONGEST_WAIT))
        raise SourceError(
            f"{self.name} didn't deliver page {number} in {ATTEMPTS} attempts ({trouble}).\nWhat "
            "came before is loaded; start the same run again and it goes on there."
        ) from reason


def read_page(url: str) -> tuple[list[bytes], int | None]:
    """Read one page. Raises GarbagePageError, or what urllib and http.client raise."""
    with _open(url, timeout=PATIENCE) as answer:
        *lines, last = io.BytesIO(answer.read()).readlines() or [b""]
    try:
        end = json.loads(last)
        rows, following = end["rows"], end["next"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise GarbagePageError(f"{url} ends with {shorten(last)}") from error
    if rows != len(lines) or not (following is None or type(following) is int):
        raise GarbagePageError(f"{url} has {len(lines)} rows and promises {shorten(rows)}")
    return lines, following


def retry_after(header: str | None) -> float:
    """Seconds to wait by a Retry-After header: a number, or a date; 0 where it says nothing."""
    try:
        return max(float(int(header or 0)), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0
