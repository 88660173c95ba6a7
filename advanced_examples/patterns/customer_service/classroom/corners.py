"""Empty corners of each engine, and processes that use them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg2.sql import SQL, Identifier

from course import connect
from customer_service.factory import Settings

SHARED = ("postgres", "duckdb", "mongo")  # what several processes can use


@contextmanager
def empty_corner(engine: str, namespace: str) -> Iterator[Settings]:
    """Settings of `engine` with no customer under `namespace`; whatever came is removed."""
    if engine in ("memory", "duckdb"):
        with TemporaryDirectory() as folder:
            yield Settings(engine, str(Path(folder) / "customers.duckdb"))
        return
    _remove(engine, namespace)
    try:
        yield Settings(engine, connect.url(engine), namespace)
    finally:
        _remove(engine, namespace)


def _remove(engine: str, namespace: str) -> None:
    if engine == "mongo":
        database = connect.mongo()
        with closing(database.client):
            database.drop_collection(f"{namespace}_customers")
        return
    with closing(connect.postgres()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(namespace)))


def start(settings: Settings, *command: str) -> subprocess.Popen[str]:
    """A Python process that finds these settings in its environment."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **settings.as_environment()}
    return subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
