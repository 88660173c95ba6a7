"""A feature that knows how the flight ended.

`route_delay` gives each flight the average delay of its route over the 7 days before it. The
model with it is far too good. Find the leak: what did nobody know yet when the flight departed?
Repair it.

A delay is known when the flight has *arrived*. For a flight that departs at t, those flights of the
same route count that arrived before t, and not earlier than 7 days before t. Without any, NaN. The
result has the index of `flights`; columns: route, departure_time, arrival_time, delay (minutes).
"""

import pandas as pd

WEEK = pd.Timedelta(days=7)


def route_delay(flights: pd.DataFrame) -> pd.Series:
    """The average delay of the route in the 7 days before each departure, in minutes."""
    # TODO: whose delay was known at the time of departure?
    found = []
    for flight in flights.itertuples():
        known = flights[
            (flights["route"] == flight.route)
            & (flights["departure_time"] <= flight.departure_time)
            & (flights["departure_time"] >= flight.departure_time - WEEK)
        ]
        found.append(known["delay"].mean())
    return pd.Series(found, index=flights.index, name="route_delay")
