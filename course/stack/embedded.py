"""Start and end the embedded servers: one at a time, once only, and nothing else is touched."""

import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from course.settings import SERVICES, TITLES, port, service_url
from course.stack import greet, state
from course.stack.ports import first_free
from course.stack.processes import birth, bury, end, standing_in, tail
from course.stack.server import OTHER_CREDENTIALS, Server, StartError
from course.stack.state import Running


def server_for(service: str) -> Server:
    """The embedded server of `service`."""
    from course.stack.mongo import MongoServer
    from course.stack.postgres import PostgresServer
    from course.stack.rabbitmq import RabbitServer
    from course.stack.redis import RedisServer

    servers = (PostgresServer, RedisServer, MongoServer, RabbitServer)
    return next(server() for server in servers if server.service == service)


def start(service: str) -> Running:
    """The running server of `service`, started if need be. Raises ServiceUnavailable."""
    server = server_for(service)
    try:
        with state.lock(service):
            running = state.alive(service)
            if running is None:
                running = _start(server)
                state.write(running)
            return running
    except (OSError, StartError) as error:
        problem = f"{TITLES[service]} did not start: {error}"
        raise server.unavailable(problem, "python learn.py doctor") from error


def _start(server: Server) -> Running:
    """Start the server after clearing whatever an earlier start left half done."""
    previous = state.read(server.service)
    if previous:
        bury(previous.pid)
    clear(server)
    number = first_free(*([previous.port] if previous else []), port(server.service))
    try:
        server.prepare()
        pid = server.launch(number)
        greeting = wait_until_ready(server, number, pid)
    except StartError as error:
        clear(server)
        raise StartError(f"{error}\n{server.log}:\n{tail(server.log)}") from error
    return Running(
        service=server.service,
        url=service_url(server.service, number),
        port=number,
        pid=pid,
        birth=birth(pid) or 0.0,
        detail=server.detail(greeting),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def wait_until_ready(server: Server, number: int, pid: int) -> greet.Greeting:
    """Greet the server until it welcomes us; StartError when it ends or its time is over."""
    deadline = time.monotonic() + server.patience
    while time.monotonic() < deadline:
        greeting = greet.greet(server.service, number)
        if greeting.kind == greet.WELCOME:
            return greeting
        if greeting.kind == greet.REFUSES:
            raise StartError(OTHER_CREDENTIALS)
        if birth(pid) is None:
            bury(pid)
            raise StartError("it ended at once")
        time.sleep(0.05)
    raise StartError(f"no answer in {server.patience:.0f} s ({greeting.kind} {greeting.problem})")


def clear(server: Server) -> bool:
    """End what runs in the server's folder, with its helpers; True when there was something."""
    if not server.folder.exists():
        return False
    for ended in range(5):  # what a killed script was just starting may show a moment later
        left = standing_in(server.folder, server.programs)
        if not left:
            return ended > 0
        end(left, patience=10)
    raise StartError(f"processes in {server.folder} can't be ended")


def stop(service: str) -> bool:
    """Stop the embedded server of `service`; True when one was running."""
    if not state.STACK_DIR.exists():
        return False
    with state.lock(service):
        server, running = server_for(service), state.read(service)
        ours = running is not None and birth(running.pid) == running.birth
        if running and ours:
            with suppress(StartError):  # then it is ended below, like all that stands in its folder
                server.stop(running.pid)
        left = clear(server)
        state.forget(service)
    return ours or left


def down(services: Iterable[str] = SERVICES) -> list[str]:
    """Stop the embedded servers, several at once; the names of those that ran."""
    from concurrent.futures import ThreadPoolExecutor

    services = tuple(services)
    with ThreadPoolExecutor(len(services)) as pool:
        stopped = list(pool.map(stop, services))
    return [service for service, ran in zip(services, stopped, strict=True) if ran]


def erase(service: str) -> bool:
    """Stop the embedded server of `service` and delete its data; False when it had none."""
    folder = server_for(service).folder
    ran = stop(service)
    existed = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    return ran or existed


def log_of(service: str) -> Path | None:
    """The log of the embedded server, if it ever ran."""
    log = server_for(service).log
    return log if log.exists() else None


def runs(service: str) -> bool:
    """True when a process of ours runs in the folder of `service`, written down or not."""
    server = server_for(service)
    return server.folder.exists() and bool(standing_in(server.folder, server.programs))
