"""The tests of the flight delay project's operation, in its own environment (project_part.py)."""

from collections.abc import Callable

import pytest

from tests.flights.project_part import run_part, shared_folder


def test_what_watches_and_rolls_out_passes(
    service: Callable[[str], str], request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory, worker_id: str,
) -> None:  # fmt: skip
    servers = service("redis"), service("rabbitmq")
    full = ["--full"] if request.config.getoption("full") else []
    run_part("operation", shared_folder(tmp_path_factory, worker_id), *servers, *full)
