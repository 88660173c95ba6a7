"""The ground floor of the course: what every lesson stands on."""

__version__ = "1.0.0.dev1"
