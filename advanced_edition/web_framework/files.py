"""Send files from one folder, and from nowhere else."""

import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from web_framework.errors import HttpError
from web_framework.response import Response, Stream

PIECE = 65_536


def send_file(folder: Path, name: str) -> Response:
    """The file `name` below `folder` as a stream, with an ETag of its size and time.

    Raises HttpError 404 for what isn't there and for what lies outside: `..`, an absolute path or a
    symbolic link must not lead to the password file. Where it leads is asked of the file system,
    not of the text.
    """
    folder = folder.resolve()
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, a circle of links
        inside = False
    if not inside:
        raise HttpError(404, "no such file")
    try:
        file = path.open("rb")
    except OSError:
        raise HttpError(404, "no such file") from None
    facts = path.stat()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    response = Response(Stream(_pieces(file), file.close), content_type=kind)
    response.set("ETag", f'W/"{facts.st_size:x}-{facts.st_mtime_ns:x}"')
    response.set("X-Content-Type-Options", "nosniff")
    return response


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece
