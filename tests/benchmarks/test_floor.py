"""What the ground floor costs: importing the kit, and starting the services."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from course.settings import ROOT

Measure = Callable[..., None]
RUNS = 9


def seconds(*command: str | Path, **environment: str) -> float:
    """How long a process takes, which must end well."""
    start = time.perf_counter()
    subprocess.run(
        [*map(str, command)], env={**os.environ, **environment}, check=True, capture_output=True
    )
    return time.perf_counter() - start


def medians(*codes: str) -> list[float]:
    """The median seconds of a Python that runs each of `codes`, taken in turn."""
    rounds = [[seconds(sys.executable, "-c", code) for code in codes] for _ in range(RUNS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def test_import_of_the_kit(measured: Measure) -> None:
    bare, peer, kit = medians("", "import asyncio", "import course.lesson")
    measured(
        "kit import over import of asyncio",
        (kit - bare) / (peer - bare),
        2.0,
        "lower",
        f"a bare start {bare * 1000:.0f} ms, the kit adds {(kit - bare) * 1000:.0f} ms",
    )


def test_up_warm(measured: Measure) -> None:
    seconds(sys.executable, ROOT / "learn.py", "up")
    rounds = [
        (
            2 * seconds(sys.executable, "-c", ""),
            seconds(sys.executable, ROOT / "learn.py", "up"),
        )
        for _ in range(RUNS)
    ]
    floor, warm = (statistics.median(column) for column in zip(*rounds, strict=True))
    measured(
        "warm up over two bare starts of Python",
        warm / floor,
        10.0,
        "lower",
        f"warm up {warm * 1000:.0f} ms",
    )


@pytest.fixture
def free_ports() -> dict[str, str]:
    """Ports of their own for a second stack, so that the working one stays as it is."""
    from course.stack.ports import any_free_port

    services = ("POSTGRES", "REDIS", "MONGO", "RABBITMQ")
    return {f"{name}_PORT": str(any_free_port()) for name in services}


def test_up_cold(measured: Measure, tmp_path: Path, free_ports: dict[str, str]) -> None:
    def cold(*services: str) -> float:
        folder = tmp_path / "-".join(("stack", *services))
        environment = {"COURSE_STACK_DIR": str(folder), **free_ports}
        try:
            return seconds(sys.executable, ROOT / "learn.py", "up", *services, **environment)
        finally:
            seconds(sys.executable, ROOT / "learn.py", "down", **environment)

    slowest, everything = cold("rabbitmq"), cold()
    measured(
        "cold up of everything over RabbitMQ alone",
        everything / slowest,
        3.0,  # two cores carry four servers that all want to compute at their start
        "lower",
        f"everything {everything:.1f} s, RabbitMQ alone {slowest:.1f} s",
    )
