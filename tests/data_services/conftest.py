"""The recommendations API on servers of its own, which its tests may kill."""

from collections.abc import Iterator

import pytest

from tests.data_services.private_service import PrivateService


@pytest.fixture(scope="session")
def private_service() -> Iterator[PrivateService]:
    """One service, its consumer and its four servers for all tests of lesson 06."""
    with PrivateService.started() as service:
        yield service


@pytest.fixture
def api(private_service: PrivateService) -> PrivateService:
    """The same, with every server up and the answers so far told to analytics."""
    private_service.heal()
    return private_service
