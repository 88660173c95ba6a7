"""One small run of the whole pipeline and one open feature store, for all integration tests.

REDIS_URL and RABBITMQ_URL say where the servers are; without them what needs one is skipped. Keys,
queues and Feast's project have names of their own, which are removed at the end.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aio_pika
import pytest
import redis
from store_kit import AT

from src import materialize, packed, store
from src.paths import PROJECT

FLIGHTS = 12_000
CODE = (".dvc/config", ".dvcignore", "dvc.yaml", "params.yaml", "src", "features", "feature_repo")
# Less to learn, so that it takes seconds: how well is another test's subject.
SMALLER = {"(?m)^flights: .*": f"flights: {FLIGHTS}", "n_estimators: .*": "n_estimators: 30",
           " epochs: .*": " epochs: 2", "layers: .*": "layers: [32, 16]"}  # fmt: skip


class Ran(NamedTuple):
    """What a command said, both streams together, and its exit code."""

    code: int
    said: str

    @property
    def stages(self) -> list[str]:
        """The stages that DVC ran."""
        return re.findall(r"^Running stage '(\w+)'", self.said, re.MULTILINE)


class Pipeline(NamedTuple):
    """A copy of the project in which the pipeline may run."""

    home: Path

    def run(self, *command: str, seconds: float = 600) -> Ran:
        """Run a command there: `dvc ...` or a script of the project."""
        scripts = Path(sys.executable).parent
        program = scripts / "dvc" if command[0] == "dvc" else sys.executable
        rest = command[1:] if command[0] == "dvc" else command
        done = subprocess.run(
            [str(program), *rest], cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=seconds,
            env={
                **os.environ, "FLIGHTS_HOME": str(self.home), "PYTHONPATH": str(self.home),
                "FLIGHTS_PARAMS": str(self.home / "params.yaml"),
                "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            },
        )  # fmt: skip
        return Ran(done.returncode, done.stdout)

    def change(self, file: str, changes: dict[str, str]) -> None:
        """Change a file of the copy; each pattern must fit once and change something."""
        path = self.home / file
        text = path.read_text(encoding="utf-8")
        for pattern, new in changes.items():
            changed, count = re.subn(pattern, new, text)
            assert count == 1 and changed != text, f"{pattern} fits {count} times in {file}"
            text = changed
        path.write_text(text, encoding="utf-8")


def copy_of_the_project(home: Path, smaller: bool = True) -> Pipeline:
    """A copy with all that the pipeline needs, and small parameters."""
    for name in CODE:
        source, target = PROJECT / name, home / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    pipeline = Pipeline(home)
    if smaller:
        pipeline.change("params.yaml", SMALLER)
    return pipeline


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, Ran]:
    """The pipeline after `dvc repro` from nothing, and what that said."""
    pipeline = copy_of_the_project(tmp_path_factory.mktemp("pipeline"))
    ran = pipeline.run("dvc", "repro")
    assert ran.code == 0, ran.said
    return pipeline, ran


@pytest.fixture
def full_size(tmp_path: Path) -> Pipeline:
    """A copy with the parameters as they are, in which nothing has run."""
    return copy_of_the_project(tmp_path, smaller=False)


@pytest.fixture
def pipeline(first_run: tuple[Pipeline, Ran]) -> Iterator[Pipeline]:
    """The pipeline as it has run; parameters that a test changes are put back."""
    made, _ = first_run
    file = made.home / "params.yaml"
    text = file.read_text(encoding="utf-8")
    yield made
    file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def home(first_run: tuple[Pipeline, Ran]) -> Path:
    """The home with the data, views and models that the pipeline made."""
    return first_run[0].home


@pytest.fixture(scope="session")
def redis_at() -> str:
    """The Redis to test with."""
    return server("REDIS_URL")


@pytest.fixture(scope="session")
def rabbitmq_at() -> str:
    """The RabbitMQ to test with."""
    return server("RABBITMQ_URL")


def server(variable: str) -> str:
    """The URL in an environment variable; without one the test is skipped, and says why."""
    url = os.environ.get(variable)
    if not url:
        pytest.skip(f"{variable} is not set: start the stack, then `python3 learn.py url ...`")
    return url


@pytest.fixture(scope="session")
def shared() -> str:
    """What the shared store's keys begin with, and what Feast's project is called."""
    return f"flights_test_{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def feast(home: Path, shared: str) -> Any:
    """The one store object that the tests share: opening one takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLIGHTS_HOME", str(home))
        return store.open_store(shared)


@pytest.fixture(scope="session")
def client(feast: Any, shared: str, home: Path, redis_at: str) -> Iterator[redis.Redis]:
    """Redis, with everything online as of AT, in Feast and packed."""
    with redis.Redis.from_url(redis_at) as opened:
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("FLIGHTS_HOME", str(home))
                materialize.materialize(feast, opened, AT, shared)
            yield opened
        finally:
            packed.remove(opened, shared)
            feast.teardown()
            assert not list(opened.scan_iter(match=f"*{shared}*", count=1000))


@pytest.fixture
def own_prefix(redis_at: str) -> Iterator[str]:
    """A key prefix of the test's own; what bears it, Feast's rows too, is removed at the end."""
    prefix = f"flights_test_{uuid.uuid4().hex[:8]}"
    yield prefix
    with redis.Redis.from_url(redis_at) as opened:
        for name in opened.scan_iter(match=f"*{prefix}*", count=1000):
            opened.delete(name)


@pytest.fixture
def queues(rabbitmq_at: str) -> Iterator[str]:
    """What the names of the test's own queues begin with."""
    prefix = f"flights_test_{uuid.uuid4().hex[:8]}"
    yield prefix
    asyncio.run(delete_queues(rabbitmq_at, prefix))


async def delete_queues(url: str, prefix: str) -> None:
    async with await aio_pika.connect_robust(url) as connection:
        channel = await connection.channel()
        for name in ("weather", "aircraft", "rejected"):
            await channel.queue_delete(f"{prefix}.{name}")
