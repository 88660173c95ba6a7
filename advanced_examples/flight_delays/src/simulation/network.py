"""Who flies where with what: carriers, aircraft types and routes of the simulated country."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.airports import AIRPORTS, CODES, miles


class Carrier(NamedTuple):
    """An airline: share of the flights, hubs, fleet, usual delay in minutes, haste on the ground.

    `slack` is the mean time between flights beyond the least turnaround, in minutes.
    """

    share: float
    hubs: tuple[str, ...]
    fleet: tuple[str, ...]
    delay: float
    slack: float


class AircraftType(NamedTuple):
    """What a type can take: least turnaround (min), range (miles), wind (km/h), minutes a km/h."""

    turnaround: int
    miles: int
    wind: float
    wind_minutes: float


CARRIERS: dict[str, Carrier] = {
    "AA": Carrier(0.21, ("DFW", "CLT", "MIA", "PHX"), ("A321", "B738", "E175"), 6.0, 24),
    "UA": Carrier(0.18, ("ORD", "DEN", "IAH", "SFO"), ("B738", "A320", "E175"), 3.0, 24),
    "DL": Carrier(0.21, ("ATL", "DTW", "MSP", "SLC"), ("A321", "A320", "B738"), -7.0, 30),
    "SW": Carrier(0.20, ("DEN", "LAS", "PHX", "ATL"), ("B737", "B738"), 1.0, 18),
    "B6": Carrier(0.07, ("JFK", "BOS", "MCO"), ("A320", "A321"), 12.0, 20),
    "AS": Carrier(0.06, ("SEA", "SFO", "SAN"), ("B738", "E175"), -8.0, 28),
    "NK": Carrier(0.04, ("MCO", "LAS", "DTW"), ("A320",), 15.0, 16),
    "F9": Carrier(0.03, ("DEN", "PHL", "MCO"), ("A320",), 16.0, 16),
}
TYPES: dict[str, AircraftType] = {
    "A320": AircraftType(35, 3300, 45, 0.7),
    "A321": AircraftType(40, 3400, 45, 0.6),
    "B737": AircraftType(30, 3000, 42, 0.8),
    "B738": AircraftType(35, 3100, 45, 0.7),
    "E175": AircraftType(25, 1500, 28, 1.6),
}
# fmt: off
PAIRS = (
    "JFK-LAX", "SFO-ORD", "LAX-DEN", "ATL-SEA", "JFK-MIA", "JFK-MCO", "JFK-BOS", "BOS-ORD",
    "BOS-PHL", "BOS-MCO", "ORD-ATL", "ORD-DEN", "ORD-DFW", "ORD-MSP", "ORD-DTW", "ORD-LAX",
    "ATL-CLT", "ATL-MCO", "ATL-MIA", "ATL-DFW", "DFW-IAH", "DFW-LAX", "DFW-PHX", "DFW-CLT",
    "DEN-PHX", "DEN-SFO", "DEN-SLC", "DEN-MSP", "LAX-SFO", "LAX-LAS", "LAX-SEA", "SEA-SFO",
    "SEA-SLC", "SAN-LAS", "SAN-SFO", "SAN-PHX", "LAS-PHX", "PHL-CLT", "PHL-MCO", "CLT-MIA",
    "IAH-DEN", "IAH-ATL", "DTW-ATL", "MSP-DTW",
)
# fmt: on
ROUTES: tuple[str, ...] = tuple(
    route for pair in PAIRS for route in (pair, "-".join(reversed(pair.split("-"))))
)
TAXI_MINUTES = 38
MILES_A_MINUTE = 7.7
HEADWIND = 0.07


def index(code: str) -> int:
    """The row of an airport in every table of the simulator."""
    return CODES.index(code)


def block_minutes() -> NDArray[np.int64]:
    """Scheduled minutes from gate to gate (airports, airports), to five minutes; 0: no route.

    Flights to the west meet the jet stream and take longer.
    """
    table = np.zeros((len(CODES), len(CODES)), dtype=np.int64)
    for route in ROUTES:
        origin, destination = route.split("-")
        eastward = AIRPORTS[destination].longitude - AIRPORTS[origin].longitude
        wind = 1 - HEADWIND * np.clip(eastward / 40, -1, 1)
        minutes = TAXI_MINUTES + miles(origin, destination) / MILES_A_MINUTE * wind
        table[index(origin), index(destination)] = 5 * round(minutes / 5)
    return table


def route_weights() -> NDArray[np.float64]:
    """How often a carrier's aircraft type goes on from here to there.

    Shape: (carriers, types, airports, airports). Carriers keep to their hubs; a type takes no
    route beyond its range. There is always a way back, since each route goes both ways.
    """
    weights = np.zeros((len(CARRIERS), len(TYPES), len(CODES), len(CODES)))
    for route in ROUTES:
        a, b = route.split("-")
        busy = 0.5 + AIRPORTS[a].hub + AIRPORTS[b].hub
        for c, carrier in enumerate(CARRIERS.values()):
            at_hub = 0.15 + (a in carrier.hubs) + (b in carrier.hubs)
            for t, aircraft in enumerate(TYPES.values()):
                if miles(a, b) <= aircraft.miles:
                    weights[c, t, index(a), index(b)] = busy * at_hub
    return weights
