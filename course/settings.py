"""Where everything is: folders, the fixed today, and the addresses of the services.

Addresses come from the environment, then from the `.env` file beside the README. A service counts
as *given* only when its whole URL is set; ports and credentials alone describe the compose stack.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from urllib.parse import quote

from course.errors import CourseError, UsageError

ROOT = Path(__file__).resolve().parents[1]
STACK_DIR = Path(os.environ.get("COURSE_STACK_DIR") or ROOT / ".stack").resolve()
STACK_REMEDY = "Set COURSE_STACK_DIR to a folder that is yours."
OUTPUT_DIR = ROOT / "output"
TODAY = date(2025, 10, 26)

SERVICES = ("postgres", "redis", "mongo", "rabbitmq")
TITLES = {
    "postgres": "PostgreSQL",
    "redis": "Redis",
    "mongo": "MongoDB",
    "rabbitmq": "RabbitMQ",
}
URL_NAMES = {
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "mongo": "MONGO_URL",
    "rabbitmq": "RABBITMQ_URL",
}
HOST = "127.0.0.1"
DEFAULTS = {
    "POSTGRES_PORT": "5432",
    "POSTGRES_USER": "admin",
    "POSTGRES_PASSWORD": "admin123",
    "POSTGRES_DB": "learning_db",
    "REDIS_PORT": "6379",
    "MONGO_PORT": "27017",
    "RABBITMQ_PORT": "5672",
    "RABBITMQ_MANAGEMENT_PORT": "15672",
    "PROMETHEUS_PORT": "9090",
    "GRAFANA_PORT": "3000",
    "RABBITMQ_USER": "admin",
    "RABBITMQ_PASSWORD": "admin123",
}


def parse_env(text: str) -> dict[str, str]:
    """Read `NAME=value` lines as docker compose does; skip comments, take quotes off."""
    values = {}
    for line in text.splitlines():
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not name.startswith("#"):
            values[name.strip()] = value.split(" #")[0].strip().strip("'\"")
    return values


@cache
def _env_file() -> dict[str, str]:
    path = ROOT / ".env"
    return parse_env(path.read_text(encoding="utf-8")) if path.exists() else {}


def value(name: str) -> str:
    """The setting `name`: from the environment, else from `.env`; the default where that is ''."""
    given = os.environ[name] if name in os.environ else _env_file().get(name)
    return given or DEFAULTS.get(name, "")


def port(service: str) -> int:
    """The port at which the compose stack, or a well-placed embedded server, offers `service`."""
    name = f"{service.upper()}_PORT"
    try:
        return int(value(name))
    except ValueError:
        raise UsageError(
            f"{name} is {value(name)!r}, which is no port number. Set {name}={DEFAULTS[name]}, "
            "in the environment or in .env, or delete it."
        ) from None


@contextmanager
def writing_to(folder: Path, remedy: str) -> Iterator[None]:
    """While the block runs, a file or folder that can't be written there is a CourseError.

    `remedy` is a sentence that says what to do.
    """
    try:
        yield
    except OSError as error:
        raise CourseError(f"{folder} can't be written: {error.strerror}. {remedy}") from error


def given_url(service: str) -> str | None:
    """The URL that the user gave for `service`, or None."""
    return value(URL_NAMES[service]) or None


def service_url(service: str, port: int) -> str:
    """The URL of `service` on this machine at `port`, with the course's credentials."""
    if service == "redis":
        return f"redis://{HOST}:{port}/0"
    database = value("POSTGRES_DB")
    if service == "mongo":
        # The compose stack's replica set of one calls itself by a name that holds inside it only.
        return f"mongodb://{HOST}:{port}/{database}?directConnection=true"
    user, password = (quote(value(f"{service.upper()}_{key}")) for key in ("USER", "PASSWORD"))
    if service == "rabbitmq":
        return f"amqp://{user}:{password}@{HOST}:{port}/"
    return f"postgresql://{user}:{password}@{HOST}:{port}/{database}"


def compose_url(service: str) -> str:
    """Where `docker compose up -d` puts `service`."""
    return service_url(service, port(service))
