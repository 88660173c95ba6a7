"""An append-only log on disk: one line an event, each with its checksum.

    5f0a33c1 Deposit {"number":17,…}

What is promised, and when:

- The process is killed (`kill -9`): nothing that was accepted is lost, because each line is given
  to the operating system with one `write` before it is confirmed.
- The power fails: with fsync `always` nothing that was accepted is lost; with `batch` at most the
  last `batch` lines; with `never` what the system hadn't written yet, usually some 30 seconds.
- A torn tail (the last line was being written) is dropped at the next start. It says so, and the
  dropped bytes are kept in a file beside the log.
- Damage before that is an error. A program can't know what was there, so it doesn't guess.
"""

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ledger.errors import LogDamaged, LogFailed, LogInUse

POLICIES = ("always", "batch", "never")
HEAD = 9  # eight hexadecimal digits and a space
READ = 1 << 18  # bytes at a time


class Dropped(NamedTuple):
    """A torn tail: where it began, how long it was, and where its bytes are kept."""

    offset: int
    size: int
    kept_in: Path

    def __str__(self) -> str:
        return (
            f"dropped a torn tail of {self.size} bytes at byte {self.offset}: an event that was "
            f"never accepted (kept in {self.kept_in.name})"
        )


def framed(text: str) -> bytes:
    """A line of the log: checksum, space, text, end."""
    data = text.encode()
    return b"%08x %b\n" % (zlib.crc32(data), data)


def unframed(line: bytes) -> str | None:
    """The text of a line of the log, or None when the line is not whole."""
    data = line[HEAD:-1]
    try:
        whole = int(line[:8], 16) == zlib.crc32(data) and line[-1:] == b"\n" and line[8:9] == b" "
        return data.decode() if whole else None
    except ValueError:
        return None


@dataclass
class EventLog:
    """The log file, opened for appending by one process at a time.

    `fsync` is one of POLICIES and `batch` the number of lines between two of them. `write_to_disk`
    is `os.fsync`, unless a test wants a disk that fails.
    """

    path: Path
    fsync: str = "batch"
    batch: int = 10_000
    write_to_disk: Callable[[int], None] = os.fsync

    def __post_init__(self) -> None:
        if self.fsync not in POLICIES or self.batch < 1:
            raise LogFailed(f"fsync is one of {', '.join(POLICIES)}, batch 1 or more")
        new = not self.path.exists()
        self._file: BinaryIO = self.path.open("ab", buffering=0)
        try:
            _lock(self._file, self.path)
            self.dropped = self._drop_torn_tail()
        except BaseException:
            self._file.close()
            raise
        if new and self.fsync != "never":
            sync_folder(self.path.parent)
        self.size = self.path.stat().st_size
        self._reader = self.path.open("rb")
        self._write = self._file.write
        self._unsynced = 0
        self._sync_after = 1 if self.fsync == "always" else self.batch
        self._failed = ""

    def append(self, text: str) -> int:
        """Write one line and return the offset at which it stands.

        When the disk refuses, LogFailed is raised and the line is not in the log. After a failed
        fsync nobody can know what is on the disk, so the log takes nothing more.
        """
        if self._failed:
            raise LogFailed(self._failed)
        line, offset = framed(text), self.size
        try:
            written = self._write(line)
        except OSError as error:
            self._take_back(offset, str(error))
        if written != len(line):
            self._take_back(offset, "the disk is full")
        self.size = offset + written
        self._unsynced += 1
        if self._unsynced >= self._sync_after:
            self.sync()
        return offset

    def sync(self) -> None:
        """Have everything on the disk before this returns (except with fsync `never`)."""
        self._unsynced = 0
        if self.fsync == "never" or self._failed:
            return
        try:
            self.write_to_disk(self._file.fileno())
        except OSError as error:
            # A second fsync may succeed although the pages were thrown away: don't try.
            self._failed = f"{self.path}: fsync failed ({error}). Repair the disk, then open again."
            raise LogFailed(self._failed) from error

    def text_at(self, offset: int) -> str:
        """The line that stands at `offset`; LogDamaged if none does."""
        self._reader.seek(offset)
        text = unframed(self._reader.readline())
        if text is None:
            raise damaged(self.path, offset)
        return text

    def lines(self, offset: int = 0) -> Iterator[tuple[int, str]]:
        """(offset, text) of each line from `offset` on."""
        return read_lines(self.path, offset)

    def close(self) -> None:
        """Put everything on the disk and let others write."""
        try:
            self.sync()
        finally:
            self._reader.close()
            self._file.close()

    def _take_back(self, offset: int, why: str) -> None:
        """After half a line: cut it off, or write no more if even that fails."""
        try:
            self._file.truncate(offset)
        except OSError:
            self._failed = f"{self.path}: can't be written ({why}). Repair the disk, open it again."
        raise LogFailed(f"{self.path}: {why}. This transaction was not accepted; make room first.")

    def _drop_torn_tail(self) -> Dropped | None:
        """Cut off what follows the last whole line; LogDamaged if whole lines come after it."""
        if _ends_whole(self.path):
            return None
        offset = sum(len(line) for line in _whole_lines(self.path))
        with self.path.open("rb") as file:
            file.seek(offset)
            tail = file.read()
        if any(unframed(line) is not None for line in tail.splitlines(keepends=True)):
            raise damaged(self.path, offset)
        kept_in = self.path.with_name(f"{self.path.name}.torn-at-{offset}-{zlib.crc32(tail):08x}")
        kept_in.write_bytes(tail)
        self._file.truncate(offset)
        if self.fsync != "never":
            self.write_to_disk(self._file.fileno())
        return Dropped(offset, len(tail), kept_in)


def read_lines(path: Path, offset: int = 0) -> Iterator[tuple[int, str]]:
    """(offset, text) of each line from `offset` on, each one checked; LogDamaged at a bad one."""
    with path.open("rb", buffering=READ) as file:
        file.seek(offset)
        for line in file:
            text = unframed(line)
            if text is None:
                raise damaged(path, offset)
            yield offset, text
            offset += len(line)


def damaged(path: Path, offset: int) -> LogDamaged:
    """The error for a line that is not what was once written."""
    return LogDamaged(
        f"{path} is damaged at byte {offset}: the line there doesn't match its checksum, and it is "
        "not just a torn tail. Nothing was changed. Restore the file from a copy (the part before "
        "that byte is whole), or ask those who have one for what follows."
    )


def sync_folder(folder: Path) -> None:
    """Have the folder's list of names on the disk, where the system lets one (not on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _whole_lines(path: Path) -> Iterator[bytes]:
    """The lines from the beginning up to the first that is not whole."""
    with path.open("rb", buffering=READ) as file:
        yield from takewhile(lambda line: unframed(line) is not None, file)


def _ends_whole(path: Path) -> bool:
    """Whether the last line is whole: after a clean end nothing else needs a look."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - READ, 0))
        lines = file.read().splitlines(keepends=True)
    return not lines or unframed(lines[-1]) is not None


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other writers out for as long as the file is open; a dead process lets go."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(2**40)  # beyond the data: Windows locks against readers too
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise LogInUse(f"{path} is written by another process: end that one first.") from None
