"""The flight delay project, tested in its own environment."""
