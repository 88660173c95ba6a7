"""Starts the embedded MongoDB as a process of its own on a free port."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection

from course.stack.ports import any_free_port

Client = MongoClient[dict[str, Any]]
Documents = Collection[dict[str, Any]]


@contextlib.contextmanager
def running_server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server's process and its URL; it answers, and is stopped in the end."""
    port = any_free_port()
    command = [sys.executable, "-m", "course.stack.mongo_server", "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    url = f"mongodb://127.0.0.1:{port}"
    try:
        with MongoClient(url, serverSelectionTimeoutMS=20_000) as client:
            client.admin.command("ping")
        yield process, url
    finally:
        process.terminate()
        process.communicate(timeout=60)
