"""Brings services up: given, compose or embedded.

    find(service) -> Endpoint                where a service is, started if need be
    find_all(services) -> dict               several at once; an error in place of what can't be had
    status(services) -> list                 what runs, without starting anything
    down(services) -> list[str]              stop what was started here
    who_answers(service) -> Answer           who is on the usual port, for the doctor
    logs(service), psql_path(), reset_data(service)

Only what a warm start needs is imported here: finding four running servers takes milliseconds.
"""

from collections.abc import Iterable
from pathlib import Path

from course.errors import ServiceUnavailable
from course.settings import SERVICES
from course.stack.endpoint import Endpoint
from course.stack.search import Answer, find, find_all, status, who_answers

__all__ = [
    "Answer",
    "Endpoint",
    "ServiceUnavailable",
    "down",
    "find",
    "find_all",
    "logs",
    "psql_path",
    "reset_data",
    "status",
    "who_answers",
]


def down(services: Iterable[str] = SERVICES) -> list[str]:
    """Stop the embedded servers that were started here; the names of those that ran."""
    from course.stack import embedded

    return embedded.down(services)


def logs(service: str) -> Path | None:
    """The log file of the embedded server of `service`; None when it never ran."""
    from course.stack import embedded

    return embedded.log_of(service)


def psql_path() -> Path:
    """The psql program that the embedded PostgreSQL brings along."""
    from course.stack import postgres

    return postgres.psql_path()


def reset_data(service: str) -> bool:
    """Stop the embedded server of `service` and delete its data; False when there was none."""
    from course.stack import embedded

    return embedded.erase(service)
