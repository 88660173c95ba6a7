"""What a late row would do to the past, as a chart."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd

from course import charts
from feature_store.store import FeatureStore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "One late row, and ten days know of the future"


def late_row(store: FeatureStore) -> "tuple[Figure, list[int]]":
    """(chart, the days on which the two lines part) of machine 1 in May, asked at every noon."""
    days = range(1, 29)
    noons = [datetime(2025, 5, day, 12, tzinfo=UTC) for day in days]
    asked = pd.DataFrame({"machine_id": 1, "at": noons})
    late, known = (
        store.get_training_dataset("machine", ["value"], asked, late_rows=late_rows)["value"]
        for late_rows in (True, False)
    )
    lines = {"late row let in: a leak": late, "what was known": known}
    figure = charts.curves(
        {name: (days, line.astype("Float64").to_numpy(float, na_value=float("nan")))
         for name, line in lines.items()},
        TITLE, "day of May on which we ask", "value in the answer",
    )  # fmt: skip
    # No value (-1) equals no value.
    differ = late.fillna(-1) != known.fillna(-1)
    return figure, [day for day, other in zip(days, differ, strict=True) if other]
