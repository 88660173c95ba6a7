"""Cursors: results that are longer than one reply, handed out batch by batch."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import bson
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from course.stack.mongo_server.errors import CommandError
from course.stack.mongo_server.wire import CODEC, Document

FIRST_BATCH = 101  # documents, as MongoDB does it
MAX_BATCH_BYTES = 16 * 1024 * 1024
IDLE_SECONDS = 600.0


@dataclass
class Cursor:
    """What is left of a result."""

    namespace: str
    documents: Iterator[Document]
    used: float = field(default_factory=time.monotonic)

    def take(self, size: int | None) -> tuple[list[RawBSONDocument], bool]:
        """The next batch, at most `size` documents and 16 MiB; and whether more may follow."""
        batch: list[RawBSONDocument] = []
        length = 0
        while size is None or len(batch) < size:
            document = next(self.documents, None)
            if document is None:
                return batch, False
            encoded = bson.encode(document, codec_options=CODEC)
            length += len(encoded)
            if batch and length > MAX_BATCH_BYTES:
                self.documents = itertools.chain([document], self.documents)
                return batch, True
            batch.append(RawBSONDocument(encoded))
        return batch, True


class Cursors:
    """The open cursors of a server, by id. Those that nobody reads for ten minutes are closed."""

    def __init__(self) -> None:
        self._open: dict[int, Cursor] = {}
        self._ids = itertools.count(1)

    def first_batch(
        self,
        namespace: str,
        documents: list[Document],
        size: int | None,
        single: bool = False,
    ) -> Document:
        """The reply to the command that opens a cursor; its id is 0 if everything fits."""
        self._close_idle()
        cursor = Cursor(namespace, iter(documents))
        batch, more = cursor.take(FIRST_BATCH if size is None else size)
        number = 0
        if more and not single and len(batch) < len(documents):
            number = next(self._ids)
            self._open[number] = cursor
        reply = {"firstBatch": batch, "id": Int64(number), "ns": namespace}
        return {"cursor": reply, "ok": 1.0}

    def next_batch(self, number: int, size: int | None) -> Document:
        """The reply to `getMore`.

        Raises:
            CommandError: 43 if there is no such cursor (any more).
        """
        if number not in self._open:
            raise CommandError(43, f"cursor id {number} not found")
        cursor = self._open[number]
        cursor.used = time.monotonic()
        batch, more = cursor.take(size)
        if not more:
            del self._open[number]
        reply = {
            "nextBatch": batch,
            "id": Int64(number if more else 0),
            "ns": cursor.namespace,
        }
        return {"cursor": reply, "ok": 1.0}

    def kill(self, numbers: list[int]) -> Document:
        """The reply to `killCursors`."""
        killed = [number for number in numbers if self._open.pop(number, None)]
        unknown = [number for number in numbers if number not in killed]
        return {
            "cursorsKilled": killed,
            "cursorsNotFound": unknown,
            "cursorsAlive": [],
            "cursorsUnknown": [],
            "ok": 1.0,
        }

    def _close_idle(self) -> None:
        limit = time.monotonic() - IDLE_SECONDS
        for number, cursor in list(self._open.items()):
            if cursor.used < limit:
                del self._open[number]
