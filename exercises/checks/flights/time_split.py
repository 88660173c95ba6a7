"""Shares, order, whole days, and nothing lost."""

import pandas as pd

from course.exercises import expect, require


def flights(days: int, a_day: int = 4) -> pd.DataFrame:
    """So many days of flights, shuffled in a way that repeats."""
    times = [
        pd.Timestamp("2024-01-01") + pd.Timedelta(days=day, hours=5 * hour)
        for day in range(days)
        for hour in range(a_day)
    ]
    frame = pd.DataFrame({"departure_time": times, "flight_id": range(len(times))})
    return frame.sample(frac=1, random_state=7)


def check_shares(their):
    """60, 20 and 20 percent"""
    parts = their.time_split(flights(10))
    expect([len(part) for part in parts], [24, 8, 8], "40 flights on ten days.")


def check_order(their):
    """What comes later is later, and each part is sorted"""
    parts = their.time_split(flights(10))
    times = [list(part["departure_time"]) for part in parts]
    require(all(t == sorted(t) for t in times), "a part isn't sorted by departure_time")
    require(
        max(times[0]) < min(times[1]) and max(times[1]) < min(times[2]),
        "a part begins before the one before it has ended",
        "Sort by departure_time before you cut; the flights come in any order.",
    )


def check_days(their):
    """No day is on both sides of a cut"""
    parts = their.time_split(flights(7))
    days = [set(part["departure_time"].dt.date) for part in parts]
    shared = (days[0] & days[1]) | (days[1] & days[2])
    require(not shared, f"{sorted(map(str, shared))} is in two parts", "Move the cut to midnight.")
    expect(
        [len(part) for part in parts],
        [16, 4, 8],
        "28 flights: the cuts fall into day 5 (flight 16.8) and day 6 (22.4): each day goes to "
        "the later part.",
    )


def check_nothing_lost(their):
    """Every flight is in one part, and the flights are as they were"""
    frame = flights(9)
    before = frame.copy()
    parts = their.time_split(frame)
    numbers = sorted(n for part in parts for n in part["flight_id"])
    expect(numbers, list(range(36)), "Each flight once.")
    require(
        frame.equals(before),
        "the DataFrame that was given has changed",
        "sort_values gives a new one.",
    )


def check_other_shares(their):
    """Other shares"""
    parts = their.time_split(flights(10), train=0.5, validate=0.3)
    expect([len(part) for part in parts], [20, 12, 8])
