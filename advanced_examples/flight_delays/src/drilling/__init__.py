"""The parts of the drift drill (src/drill.py): the simulated days, what watches, and the page."""
