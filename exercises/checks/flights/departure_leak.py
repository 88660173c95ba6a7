"""The flight itself, one in the air, one a week ago, another route."""

import pandas as pd

from course.exercises import expect, require

FLIGHTS = pd.DataFrame(
    [
        ("JFK-LAX", "2024-03-01 08:00", "2024-03-01 14:00", 10.0),
        ("JFK-LAX", "2024-03-01 12:00", "2024-03-01 18:00", 50.0),
        ("JFK-LAX", "2024-03-01 16:00", "2024-03-01 22:00", 90.0),
        ("SFO-ORD", "2024-03-01 17:00", "2024-03-01 21:00", 5.0),
        ("JFK-LAX", "2024-03-08 14:00", "2024-03-08 20:00", 0.0),
        ("JFK-LAX", "2024-03-08 18:30", "2024-03-09 00:30", 7.0),
        ("SFO-ORD", "2024-03-01 21:00", "2024-03-02 01:00", 9.0),
    ],
    columns=["route", "departure_time", "arrival_time", "delay"],
    index=list("abcdefg"),
).astype({"departure_time": "datetime64[ns]", "arrival_time": "datetime64[ns]"})


def delays(their) -> dict[str, float]:
    return their.route_delay(FLIGHTS.copy()).to_dict()


def check_itself(their):
    """The first flight of a route knows nothing, least of all its own delay"""
    found = delays(their)
    for flight in "ad":
        require(
            pd.isna(found[flight]),
            f"flight {flight} got {found[flight]}, it should be nan",
            "Its own delay is what the model is to predict.",
        )


def check_in_the_air(their):
    """A flight in the air has no delay yet"""
    found = delays(their)
    require(
        pd.isna(found["b"]),
        f"flight b (12:00) got {found['b']}, it should be nan",
        "Flight a has departed at 8:00, but it arrives at 14:00.",
    )
    require(
        pd.isna(found["g"]),
        f"flight g (21:00) got {found['g']}, it should be nan",
        "Flight d lands at 21:00 exactly, so it didn't arrive before g departed.",
    )
    expect(found["c"], 10.0, "At 16:00 flight a has arrived, flight b has not.")


def check_week(their):
    """Seven days, counted from the arrival"""
    found = delays(their)
    expect(found["e"], (10 + 50 + 90) / 3, "a arrived exactly 7 days before: it still counts.")
    expect(found["f"], 90.0, "At 18:30 a and b arrived more than 7 days ago; e is in the air.")


def check_index(their):
    """The index stays"""
    expect(list(their.route_delay(FLIGHTS.copy()).index), list("abcdefg"))
