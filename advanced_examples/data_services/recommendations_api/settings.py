"""What the service is told from outside: addresses, names, keys and limits, all in one place.

Everything can be set in the environment, so that the same code runs on a laptop and in a cluster.
The four addresses are those of the course (DATABASE_URL, REDIS_URL, MONGO_URL, RABBITMQ_URL, else
the course's own stack); the rest is named RECOMMENDATIONS_… below.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path

from shop_profile.messages import Topology

from course import stack
from course.settings import OUTPUT_DIR, SERVICES, TODAY, URL_NAMES, compose_url, given_url

PREFIX = "RECOMMENDATIONS_"
CLASSROOM_KEYS = {"course-demo-key": "student", "course-page-key": "page"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The service's settings; `environment` and `from_environment` are each other's reverse.

    `name` is what everything of the service is called: the PostgreSQL schema, and the prefix of
    Redis keys, MongoDB collections and queues. `api_keys` leads from a key to who holds it.
    `rate` is how many requests a minute each key may make, `burst` how many of them at once.
    """

    postgres: str
    redis: str
    mongo: str
    rabbitmq: str
    name: str = "recommendations_api"
    api_keys: Mapping[str, str] = field(default_factory=lambda: dict(CLASSROOM_KEYS))
    rate: int = 600
    burst: int = 100
    cache_seconds: int = 3600
    today: date = TODAY
    model: Path = OUTPUT_DIR / "recommendations_api"

    @property
    def topology(self) -> Topology:
        """The names of the exchange and the queues."""
        return Topology(prefix=f"{self.name}.", queue="answers", keys=("user.recommendations",))

    @property
    def collection(self) -> str:
        """The MongoDB collection with one document a customer."""
        return f"{self.name}_customers"

    @property
    def cache_prefix(self) -> str:
        """What every Redis key begins with; count up when the shape of the answer changes."""
        return f"{self.name}:answer:1"

    def environment(self) -> dict[str, str]:
        """The environment in which another process has these settings."""
        addresses = {URL_NAMES[service]: getattr(self, service) for service in SERVICES}
        keys = ",".join(f"{holder}={key}" for key, holder in self.api_keys.items())
        own = {"NAME": self.name, "API_KEYS": keys, "RATE": self.rate, "BURST": self.burst}
        own |= {"CACHE_SECONDS": self.cache_seconds, "TODAY": self.today, "MODEL": self.model}
        return addresses | {PREFIX + name: str(value) for name, value in own.items()}


def from_environment() -> Settings:
    """The settings that the environment gives, with defaults for the rest.

    A given address is taken as it is, whether something answers there or not: a service must
    start, and say what is wrong, when a neighbour is down. ValueError names a setting that makes
    no sense.
    """
    found = Settings(**addresses())
    for setting in fields(Settings):
        text = os.environ.get(PREFIX + setting.name.upper())
        if text and setting.name not in SERVICES:
            try:
                found = replace(found, **{setting.name: READERS[setting.name](text)})
            except ValueError as error:
                raise ValueError(f"{PREFIX}{setting.name.upper()}={text!r}: {error}") from error
    return found


def addresses() -> dict[str, str]:
    """The URLs of the four services: the given ones, else what the course's stack has."""
    given = {service: given_url(service) for service in SERVICES}
    missing = [service for service, url in given.items() if url is None]
    found = stack.find_all(missing) if missing else {}
    urls = {service: getattr(endpoint, "url", None) for service, endpoint in found.items()}
    return {s: given[s] or urls.get(s) or compose_url(s) for s in SERVICES}


def positive(text: str) -> int:
    """A whole number of at least 1; ValueError otherwise."""
    number = int(text)
    if number < 1:
        raise ValueError("must be 1 or more")
    return number


def schema_name(text: str) -> str:
    """A name that can be a schema, a prefix and a collection; ValueError otherwise."""
    if not (text.isascii() and text.isidentifier() and text.islower() and len(text) <= 48):
        raise ValueError("must be lower-case letters, digits and _, at most 48 of them")
    return text


def key_list(text: str) -> dict[str, str]:
    """`holder=key,holder=key` as {key: holder}; ValueError when a part has another form."""
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(holder and key for holder, _, key in pairs):
        raise ValueError("must have the form holder=key,holder=key")
    return {key: holder for holder, _, key in pairs}


READERS = {
    "name": schema_name,
    "api_keys": key_list,
    "rate": positive,
    "burst": positive,
    "cache_seconds": positive,
    "today": date.fromisoformat,
    "model": Path,
}
