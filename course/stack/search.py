"""Where a service is: given, found at the compose stack's address, or embedded."""

import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from course.errors import ServiceUnavailable
from course.settings import SERVICES, TITLES, compose_url, given_url, port
from course.stack import greet, state
from course.stack.endpoint import Endpoint
from course.stack.ports import listening


@dataclass(frozen=True)
class Answer:
    """Who is on a service's usual port; `text` says it in words.

    `who` is 'nobody', 'embedded', 'compose' (it accepts the course's user), 'refuses' (it does not)
    or 'stranger' (something else altogether).
    """

    who: str
    port: int
    version: str
    text: str


def find(service: str) -> Endpoint:
    """Where `service` is; the embedded server is started if need be. Raises ServiceUnavailable."""
    with _packages_for(service):
        found = _without_starting(service)
        if found is None:
            from course.stack import embedded

            found = embedded.start(service).endpoint
        return found


def find_all(services: Iterable[str] = SERVICES) -> dict[str, Endpoint | ServiceUnavailable]:
    """`find` for several services at once; what can't be had is answered by its error."""
    services = tuple(services)
    for service in services:
        port(service)  # one that is no number is an error of the whole, not of a thread
    found: dict[str, Endpoint | ServiceUnavailable] = {}

    def look(service: str) -> None:
        try:
            found[service] = find(service)
        except ServiceUnavailable as error:
            found[service] = error

    _in_parallel(look, services)
    return {service: found[service] for service in services}


def status(services: Iterable[str] = SERVICES) -> list[tuple[str, Endpoint | None, str]]:
    """For each service what `find` would use and why, or None; starts nothing."""
    services = tuple(services)
    for service in services:
        port(service)
    rows: dict[str, tuple[str, Endpoint | None, str]] = {}

    def look(service: str) -> None:
        try:
            with _packages_for(service):
                endpoint = _without_starting(service)
            rows[service] = (service, endpoint, _explanation(service, endpoint))
        except ServiceUnavailable as error:
            rows[service] = (service, None, str(error))

    _in_parallel(look, services)
    return [rows[service] for service in services]


def who_answers(service: str) -> Answer:
    """Who listens on the usual port of `service`, whatever `find` would choose."""
    number, title = port(service), TITLES[service]
    running = state.alive(service)
    if running and running.port == number:
        text = f"the course's embedded server ({running.detail}) answers on {number}"
        version = re.search(r"\d[\d.]*", running.detail)
        return Answer("embedded", number, version[0] if version else "", text)
    greeting = greet.greet(service, number)
    name = f"{greeting.product or title} {greeting.version}".strip()
    who, text = {
        greet.NOBODY: ("nobody", f"nobody answers on {number}"),
        greet.STRANGER: ("stranger", f"something that is not {title} answers on {number}"),
        greet.REFUSES: (
            "refuses",
            f"another {title} answers on {number} and refuses the course's user",
        ),
        greet.WELCOME: ("compose", f"{name} answers on {number} and accepts the course's user"),
    }[greeting.kind]
    return Answer(who, number, greeting.version, text)


def _without_starting(service: str) -> Endpoint | None:
    """What is there already, in the order given, compose, embedded; None when nothing is."""
    url = given_url(service)
    if url is not None:
        from course.stack import given

        return given.check(service, url)
    running, usual = state.alive(service), port(service)
    if running and running.port == usual:
        return running.endpoint
    found = None
    if listening(usual) and (running or not _is_ours(service)):
        found = _compose(service, usual)
    return found or (running.endpoint if running else None)


def _is_ours(service: str) -> bool:
    """True when a server of ours runs without being written down.

    Another script is just starting it, or its file was lost: a start puts both right.
    """
    from course.stack import embedded

    return embedded.runs(service)


def _compose(service: str, usual: int) -> Endpoint | None:
    """The server at the compose stack's address, if it accepts the course's credentials."""
    greeting = greet.greet(service, usual)
    if greeting.kind != greet.WELCOME:
        return None
    detail = f"{greeting.product or TITLES[service]} {greeting.version}".strip()
    return Endpoint(service, compose_url(service), "compose", detail)


def _explanation(service: str, endpoint: Endpoint | None) -> str:
    if endpoint is None:
        return "not running; it starts with the first lesson that needs it, or with `learn.py up`"
    if endpoint.source == "given":
        return "its URL was given"
    if endpoint.source == "compose":
        return f"answers on port {port(service)} with the course's credentials"
    running = state.read(service)
    started = f", started {running.started_at}, process {running.pid}" if running else ""
    return f"the course's own{started}"


@contextmanager
def _packages_for(service: str) -> Iterator[None]:
    """A Python package that is missing makes a service unavailable; the fix is another one."""
    try:
        yield
    except ModuleNotFoundError as error:
        problem = f"{TITLES[service]} needs the Python package {error.name}, which is not installed"
        raise ServiceUnavailable(
            service, problem, sys.prefix, "pip install -r requirements.txt"
        ) from error


def _in_parallel(look: Callable[[str], None], services: tuple[str, ...]) -> None:
    """Call `look` for every service at once; Ctrl-C is not held up by those that hang."""
    threads = [threading.Thread(target=look, args=(service,), daemon=True) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
