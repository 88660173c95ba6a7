"""What the service is told from outside: addresses, keys and limits, all in one place.

Everything can be set in the environment, so that the same code runs on a laptop and in a cluster;
limits that nobody sets there come from the section `service` of params.yaml.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from src import params, paths
from src.packed import PREFIX

T = TypeVar("T")
DEMO_KEYS: Mapping[str, str] = {"demo-key": "demo"}
LOOPBACK = ("127.0.0.1", "::1", "localhost")
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The service's settings.

    `api_keys` leads from a key to who holds it. `requests_per_minute` counts for each key,
    `timeout_seconds` for a whole request, `redis_seconds` for one read of the feature store,
    whose keys begin with `key_prefix`.
    `models` is the folder with one folder a version and the file `champion`, which is looked at
    every `look_seconds`. `build` tells one deployment from another, such as a commit or an image's
    tag; `cost_per_hour` is what an hour of this process costs, in dollars, for the dashboards.
    """

    host: str = "127.0.0.1"
    port: int = 9696
    redis: str = "redis://127.0.0.1:6379/0"
    redis_seconds: float = 0.25
    key_prefix: str = PREFIX
    models: Path = field(default_factory=paths.models)
    look_seconds: float = 2.0
    api_keys: Mapping[str, str] = field(default_factory=lambda: dict(DEMO_KEYS))
    requests_per_minute: int = 1000
    timeout_seconds: float = 30.0
    log_level: str = "info"
    build: str = "unnamed"
    cost_per_hour: float = 0.05

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and dict(self.api_keys) == dict(DEMO_KEYS):
            raise ValueError(
                f"host {self.host} can be reached from other machines, and everybody knows the "
                "demo key: set FLIGHTS_API_KEYS to holder=key,holder=key."
            )


def from_environment(**given: Any) -> Settings:
    """The settings: `given` (from a command line, None: not given), environment, params.yaml.

    Raises:
        ValueError: a setting makes no sense; the text names it.
        ParamsError: params.yaml can't be used.
    """
    found = dict(params.load().get("service", {}))
    for setting, (variable, reader) in READERS.items():
        if text := os.environ.get(variable):
            found[setting] = read(variable, text, reader)
    found |= {name: value for name, value in given.items() if value is not None}
    return Settings(**found)


def read(variable: str, text: str, reader: Callable[[str], T]) -> T:
    """The value of one variable; ValueError names it."""
    try:
        return reader(text)
    except ValueError as error:
        raise ValueError(f"{variable}={text!r}: {error}") from error


def positive(text: str) -> int:
    """A whole number of at least 1; ValueError otherwise."""
    number = int(text)
    if number < 1:
        raise ValueError("must be 1 or more")
    return number


def port_number(text: str) -> int:
    """0 (any free one) to 65535; ValueError otherwise."""
    number = int(text)
    if not 0 <= number <= 65_535:
        raise ValueError("must be a port, 0 (any free one) to 65535")
    return number


def seconds(text: str) -> float:
    """More than 0 seconds; ValueError otherwise."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError("must be more than 0 seconds")
    return number


def dollars(text: str) -> float:
    """0 or more; ValueError otherwise."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError("must be 0 dollars or more")
    return number


def redis_url(text: str) -> str:
    """A URL that redis-py understands; ValueError otherwise."""
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return text


def level(text: str) -> str:
    """A log level, in any case; ValueError otherwise."""
    if text.lower() not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}")
    return text.lower()


def key_list(text: str) -> dict[str, str]:
    """`holder=key,holder=key` as {key: holder}; ValueError when a part has another form."""
    pairs = [part.strip().partition("=") for part in text.split(",")]
    if not all(holder and key for holder, _, key in pairs):
        raise ValueError("must have the form holder=key,holder=key")
    return {key: holder for holder, _, key in pairs}


READERS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "host": ("FLIGHTS_HOST", str),
    "port": ("FLIGHTS_PORT", port_number),
    "redis": ("REDIS_URL", redis_url),
    "key_prefix": ("FLIGHTS_KEY_PREFIX", str),
    "redis_seconds": ("FLIGHTS_REDIS_SECONDS", seconds),
    "models": ("MODEL_PATH", Path),
    "api_keys": ("FLIGHTS_API_KEYS", key_list),
    "requests_per_minute": ("FLIGHTS_REQUESTS_PER_MINUTE", positive),
    "timeout_seconds": ("FLIGHTS_TIMEOUT_SECONDS", seconds),
    "log_level": ("LOG_LEVEL", level),
    "build": ("FLIGHTS_BUILD", str),
    "cost_per_hour": ("FLIGHTS_COST_PER_HOUR", dollars),
}
