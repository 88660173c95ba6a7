"""What the tests of the ledger share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger.days import moment
from ledger.service import Ledger
from ledger.workload import three_accounts


@pytest.fixture
def people(tmp_path: Path) -> Iterator[tuple[Ledger, str, str, str]]:
    """A ledger with a checking account (3,000), savings (8,000) and money market (60,000)."""
    with Ledger.open(tmp_path / "bank") as ledger:
        yield ledger, *three_accounts(ledger, moment("2025-10-26 09:00"))
