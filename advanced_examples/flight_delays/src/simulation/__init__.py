"""The parts of the simulator: network, schedule, weather, delays, statistics."""
