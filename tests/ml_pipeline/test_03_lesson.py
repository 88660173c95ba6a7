"""The lesson as people run it: to its end, stopped, without services; nothing is left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from feature_store.classroom import NAME, ask

from course import connect
from course.settings import ROOT
from tests.support import load_lesson, told_without_a_service

PATH = ROOT / "advanced_examples/ml_pipeline/03_feature_store.py"
SCHEMAS = "SELECT count(*) AS n FROM pg_namespace WHERE nspname = %s"


def left_behind() -> int:
    """How many schemas and keys of the lesson there are."""
    with connect.redis() as client:
        return int(ask(SCHEMAS, NAME)["n"][0]) + len(list(client.scan_iter(f"{NAME}:*")))


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
def test_ctrl_c_ends_it_cleanly(service: Callable[[str], str]) -> None:
    """In step 9 there are tables, a Parquet file and keys to clean up."""
    service("postgres")
    service("redis")
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(PATH), "--fast"]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, encoding="utf-8",
                          env=environment) as process:  # fmt: skip
        assert process.stdout
        while not process.stdout.readline().startswith("9  "):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Stopped by Ctrl-C.\n"
    assert left_behind() == 0


@pytest.mark.parametrize("gone", [
    {"DATABASE_URL": "postgresql://a:b@127.0.0.1:9/nowhere"},
    {"REDIS_URL": "redis://127.0.0.1:9/0"},
])  # fmt: skip
def test_without_a_service_it_says_so_and_ends_with_69(gone: dict[str, str]) -> None:
    assert next(iter(gone)) in told_without_a_service(load_lesson(PATH), **gone)
