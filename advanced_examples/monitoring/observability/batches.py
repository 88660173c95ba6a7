"""The shop's orders in batches, problems planted in them on purpose, and the check of a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock

import numpy as np
import pandas as pd
from sqlalchemy import Engine, text

from course.settings import TODAY
from observability.quality import Report, compare

DATASET, TIME = "orders", "ordered_at"
DAYS, BATCHES, REFERENCE_BATCHES = 14, 8, 8  # days of a batch; batches shown; and before those
NOW = datetime.combine(TODAY + timedelta(days=1), clock(), tzinfo=UTC)  # the end of today
QUERY = text("""
    SELECT ordered_at, channel, total::float8 AS total, phone
    FROM orders JOIN customers USING (customer_id)
    WHERE ordered_at >= :since AND ordered_at < :until
    ORDER BY order_id
""")


def read(engine: Engine, since: datetime, until: datetime) -> pd.DataFrame:
    """Orders from `since` on and before `until`: ordered_at, channel, total (euros), phone.

    A phone number is somebody's own, so its distribution says nothing: only whether there is one.
    """
    values = {"since": since, "until": until}
    frame = pd.read_sql(QUERY, engine, params=values, parse_dates=[TIME])
    frame["phone"] = frame["phone"].notna().map({True: "given", False: None})
    return frame


@dataclass(frozen=True)
class History:
    """A reference, and the batches that came after it, oldest first, each with its end."""

    reference: pd.DataFrame
    batches: list[tuple[datetime, pd.DataFrame]]

    @property
    def expected_rows(self) -> float:
        """Rows that a batch has on average in the reference."""
        return len(self.reference) / REFERENCE_BATCHES

    def check(self, number: int, batch: pd.DataFrame | None = None) -> Report:
        """The report on batch `number` (-1: the newest), or on `batch` in its place."""
        end, found = self.batches[number]
        chosen = found if batch is None else batch
        return compare(self.reference, chosen, self.expected_rows, end, TIME)


def history(engine: Engine) -> History:
    """Sixteen weeks of reference, then eight batches of two weeks that end today."""
    step = timedelta(days=DAYS)
    begin = NOW - BATCHES * step
    ends = [begin + number * step for number in range(1, BATCHES + 1)]
    return History(
        read(engine, begin - REFERENCE_BATCHES * step, begin),
        [(end, read(engine, end - step, end)) for end in ends],
    )


def frozen(batch: pd.DataFrame) -> pd.DataFrame:
    """The feed stops two days before the end."""
    return batch[batch[TIME] < batch[TIME].max() - timedelta(days=2)]


def half_lost(batch: pd.DataFrame) -> pd.DataFrame:
    """Two of three rows never arrive."""
    return batch.iloc[::3].reset_index(drop=True)


def phones_gone(batch: pd.DataFrame) -> pd.DataFrame:
    """A new form forgets the phone number of every second customer."""
    return batch.assign(phone=batch["phone"].where(np.arange(len(batch)) % 2 == 0))


def dearer(batch: pd.DataFrame, factor: float = 2.0) -> pd.DataFrame:
    """Amounts arrive in another currency: twice as much."""
    return batch.assign(total=batch["total"] * factor)


def new_channel(batch: pd.DataFrame) -> pd.DataFrame:
    """One order in ten comes through a channel that nobody announced."""
    return batch.assign(channel=batch["channel"].mask(np.arange(len(batch)) % 10 == 0, "kiosk"))


def overflowing(batch: pd.DataFrame) -> pd.DataFrame:
    """A division by zero upstream: one amount in twenty is infinite."""
    return batch.assign(total=batch["total"].mask(np.arange(len(batch)) % 20 == 0, np.inf))


Plant = Callable[[pd.DataFrame], pd.DataFrame]
# What is planted, and the check that must find it.
PLANTS: dict[Plant, str] = {
    frozen: "freshness",
    half_lost: "volume",
    phones_gone: "nulls of phone",
    dearer: "PSI of total",
    new_channel: "PSI of channel",
    overflowing: "nulls of total",
}
