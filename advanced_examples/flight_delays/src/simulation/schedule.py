"""The timetable: each aircraft's days, leg after leg, so that a late arrival has a next flight."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.airports import CODES, offsets
from src.simulation.network import CARRIERS, TYPES, block_minutes, index, route_weights

START = np.datetime64("2022-01-01T00:00", "m")
DAYS = 1096  # 2022 to 2024
MOST_LEGS = 7
USUAL_LEGS = 4.6
FEWEST_AIRCRAFT = 12
REST_MINUTES = 360
LONGEST_TURNAROUND = 720
Ints = NDArray[np.int64]


class Fleet(NamedTuple):
    """One entry per aircraft: rows of CARRIERS and TYPES, first airport, tail number."""

    carrier: Ints
    type: Ints
    home: Ints
    tail: NDArray[np.str_]


class Schedule(NamedTuple):
    """One entry per flight, sorted by departure; times in minutes since START.

    `previous` is the flight with which the aircraft comes in, -1 for its first leg of the day;
    `leg` counts the legs of a day from 0.
    """

    aircraft: Ints
    leg: Ints
    origin: Ints
    destination: Ints
    departure: Ints
    arrival: Ints
    turnaround: Ints
    previous: Ints


def fleet_for(flights: int, rng: np.random.Generator) -> Fleet:
    """As many aircraft as `flights` need in three years, shared out between the carriers."""
    count = max(FEWEST_AIRCRAFT, int(np.ceil(flights / (DAYS * USUAL_LEGS) * 1.03)))
    shares = np.array([carrier.share for carrier in CARRIERS.values()])
    steps = (np.arange(count) + 0.5) / count
    carrier = np.searchsorted(np.cumsum(shares), steps * shares.sum())
    order = np.arange(count) - np.searchsorted(carrier, carrier)  # first, second, ... of its own
    names, types = list(CARRIERS.values()), list(TYPES)
    fleets = [names[c].fleet for c in carrier]
    type_ = np.array([types.index(own[n % len(own)]) for own, n in zip(fleets, order, strict=True)])
    hubs = [names[c].hubs for c in carrier]
    home = np.array([index(own[rng.integers(len(own))]) for own in hubs])
    codes = np.array(list(CARRIERS))[carrier]
    tails = [tail_number(code, n) for n, code in zip(order, codes, strict=True)]
    return Fleet(carrier, type_, home, np.array(tails))


def tail_number(carrier: str, number: int) -> str:
    """The registration of an airline's aircraft, which it numbers from 0."""
    return f"N{100 + number}{carrier}"


def legs_for(flights: int, aircraft: int, rng: np.random.Generator) -> Ints:
    """Legs of each aircraft on each day (days, aircraft), `flights` in sum; some days idle."""
    share = np.full(DAYS, USUAL_LEGS)
    weekday = (np.arange(DAYS) + 5) % 7  # the first of January 2022 was a Saturday
    month = (START + np.arange(DAYS) * np.timedelta64(1440, "m")).astype("M8[M]").astype(int) % 12
    share += np.where(weekday == 5, -0.6, 0) + np.where(np.isin(month, [5, 6, 7]), 0.4, 0)
    legs = np.rint(share[:, None] + rng.normal(0, 1, (DAYS, aircraft))).astype(np.int64)
    legs = legs.clip(2, MOST_LEGS)
    legs[-1] = 1  # so that the last day ends within the year, in every time zone
    order = rng.permutation(legs.size)
    cells = legs.ravel()[order]
    before = np.cumsum(cells) - cells
    legs.ravel()[order] = np.minimum(cells, np.maximum(flights - before, 0))
    short = flights - int(legs.sum())
    roomy = np.flatnonzero(legs[:-1].ravel() < MOST_LEGS)
    legs.ravel()[rng.choice(roomy, size=max(short, 0), replace=False)] += 1
    return legs


def make_schedule(flights: int, fleet: Fleet, rng: np.random.Generator) -> Schedule:
    """Let every aircraft fly its days one after another; the day begins where the last ended."""
    count = len(fleet.tail)
    legs = legs_for(flights, count, rng)
    least = np.array([aircraft.turnaround for aircraft in TYPES.values()])[fleet.type]
    slack = np.array([carrier.slack for carrier in CARRIERS.values()])[fleet.carrier]
    weights, block = route_weights()[fleet.carrier, fleet.type], block_minutes()
    first_day = int(START.astype("M8[D]").astype(int))
    noon = np.stack([offsets(code, first_day, first_day + DAYS)[12::24] for code in CODES])
    rows = np.arange(count)
    place, ready = fleet.home.copy(), np.full(count, -10_000)
    flown: list[tuple[Ints, ...]] = []
    for day in range(DAYS):
        wake = rng.integers(330, 560, count)
        last_arrival = ready.copy()
        for leg in range(int(legs[day].max(initial=0))):
            flies = rows[legs[day] > leg]
            here = place[flies]
            if leg == 0:
                morning = 1440 * day - 60 * noon[here, day] + wake[flies]
                departure = np.maximum(morning, ready[flies] + REST_MINUTES)
            else:
                extra = rng.gamma(2.0, slack[flies] / 2)
                departure = ready[flies] + least[flies] + extra.astype(np.int64)
            departure = -(-departure // 5) * 5
            to = next_airport(weights[flies, here], block[here], departure - 1440 * day, rng)
            arrival = departure + block[here, to]
            ground = np.minimum(departure - last_arrival[flies], LONGEST_TURNAROUND)
            legs_now = np.full(len(flies), leg)
            flown.append((flies, legs_now, here, to, departure, arrival, ground))
            place[flies], ready[flies], last_arrival[flies] = to, arrival, arrival
    return in_order(*(np.concatenate(column) for column in zip(*flown, strict=True)))


def next_airport(
    weights: NDArray[np.float64], block: Ints, minute: Ints, rng: np.random.Generator
) -> Ints:
    """Where each aircraft (n) goes on to, by `weights` (n, airports); late in the day not far.

    `minute` counts from midnight UTC; the working day ends at 5 in the morning UTC, which is
    midnight in New York and 9 in the evening in Los Angeles.
    """
    late = np.maximum(minute[:, None] + block - (24 + 5) * 60, 0)
    total = np.cumsum(weights * np.exp(-late / 45) + weights * 1e-9, axis=1)
    return (total < rng.random(len(minute))[:, None] * total[:, -1:]).sum(axis=1)


def in_order(
    aircraft: Ints,
    leg: Ints,
    origin: Ints,
    destination: Ints,
    departure: Ints,
    arrival: Ints,
    ground: Ints,
) -> Schedule:
    """Sort by departure and find each flight's inbound flight."""
    order = np.lexsort((aircraft, departure))
    columns = (aircraft, leg, origin, destination, departure, arrival, ground)
    aircraft, leg, origin, destination, departure, arrival, ground = (c[order] for c in columns)
    by_aircraft = np.lexsort((departure, aircraft))
    previous = np.full(len(order), -1)
    previous[by_aircraft[1:]] = by_aircraft[:-1]
    previous[leg == 0] = -1
    ground = np.where(leg == 0, LONGEST_TURNAROUND, ground)
    return Schedule(aircraft, leg, origin, destination, departure, arrival, ground, previous)
