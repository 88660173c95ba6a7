"""Values of later days, figures that arrive late, and a correction."""

import pandas as pd

from course.exercises import expect, require

HISTORY = pd.DataFrame(
    [
        (1, "2025-01-01", "2025-01-02 03:00", 10.0),
        (1, "2025-01-05", "2025-01-08 03:00", 50.0),
        (1, "2025-01-05", "2025-01-20 03:00", 55.0),
        (1, "2025-01-01", "2025-01-25 03:00", 11.0),
        (2, "2025-01-03", "2025-01-04 03:00", 7.0),
    ],
    columns=["customer_id", "day", "known_at", "spent"],
).astype({"day": "datetime64[ns]", "known_at": "datetime64[ns]"})


def spent(their, customer_id: int, *moments: str) -> list[float]:
    """What the training set says of one customer at those moments."""
    labels = pd.DataFrame(
        {
            "customer_id": customer_id,
            "as_of": pd.to_datetime(list(moments), format="ISO8601").astype("datetime64[ns]"),
            "churned": False,
        }
    )
    return their.training_set(labels, HISTORY.copy())["spent"].tolist()


def check_later_day(their):
    """A later day is not known yet"""
    expect(spent(their, 1, "2025-01-03"), [10.0], "On 3 January nobody knows the 5th.")


def check_arrival(their):
    """A figure counts from its arrival, not from its day"""
    expect(
        spent(their, 1, "2025-01-06", "2025-01-08 03:00"),
        [10.0, 50.0],
        "The figure of the 5th arrives on the 8th at 3:00: compare known_at with as_of.",
    )


def check_correction(their):
    """A correction counts once it has come, for its own day only"""
    expect(
        spent(their, 1, "2025-01-19", "2025-01-21", "2025-01-26"),
        [50.0, 55.0, 55.0],
        "On the 25th an older day is corrected: the latest day is still the 5th.",
    )


def check_nothing_known(their):
    """Nothing known: NaN, and the row stays"""
    values = spent(their, 2, "2025-01-01", "2025-01-04 03:00")
    require(
        len(values) == 2 and pd.isna(values[0]) and values[1] == 7.0,
        f"expected [nan, 7.0], got {values}",
        "A label without features is a row, too: how='left'.",
    )


def check_rows(their):
    """One row for each label, in the same order"""
    labels = pd.DataFrame(
        {
            "customer_id": [2, 1, 3, 1],
            "as_of": pd.to_datetime(["2025-02-01"] * 3 + ["2025-01-03"]).astype("datetime64[ns]"),
            "churned": [True, False, True, False],
        }
    )
    frame = their.training_set(labels, HISTORY.copy())
    expect(list(frame.columns), ["customer_id", "as_of", "churned", "spent"])
    expect(frame["customer_id"].tolist(), [2, 1, 3, 1])
    expect(frame["spent"].tolist()[:2], [7.0, 55.0])
