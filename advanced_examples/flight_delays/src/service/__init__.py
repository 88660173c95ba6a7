"""The parts of the prediction service; `python -m src.api` puts them together."""
