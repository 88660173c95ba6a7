"""Time for the first use: the flights' environments, 2.3 GB, may have to be made before a test."""

import pytest

from tests.flights.flight_service import MAKING


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test of this folder that much more; only the first ones that run need it."""
    for item in items:
        if "tests/flights/" in item.nodeid.replace("\\", "/"):
            own = item.get_closest_marker("timeout")
            limit = own.args[0] if own and own.args else float(item.config.getini("timeout"))
            item.add_marker(pytest.mark.timeout(limit + MAKING), append=False)
