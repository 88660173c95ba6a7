"""The ground floor of the course: what every lesson stands on."""

__version__ = "2.1.0"
