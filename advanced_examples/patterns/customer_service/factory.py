"""The factory: which engine keeps the customers is a line of configuration."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from customer_service.engines.memory import InMemoryRepository
from customer_service.ports import ICustomerStore


class ConfigurationError(ValueError):
    """The settings don't fit; the text says which, and what would."""


@dataclass(frozen=True)
class Settings:
    """Which engine, where it is, and the name of our corner in it (a schema or a prefix)."""

    engine: str = "memory"
    url: str = ""
    namespace: str = "customer_service"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """CUSTOMER_ENGINE, CUSTOMER_URL and CUSTOMER_NAMESPACE; what is missing has a default."""
        names = ("engine", "url", "namespace")
        given = {name: environment.get(f"CUSTOMER_{name.upper()}", "") for name in names}
        return cls(**{name: value for name, value in given.items() if value})

    def as_environment(self) -> dict[str, str]:
        """The variables from which another process reads the same settings."""
        return {f"CUSTOMER_{name.upper()}": value for name, value in vars(self).items()}


Opener = Callable[[Settings], ICustomerStore]


def _memory(_settings: Settings) -> ICustomerStore:
    return InMemoryRepository()


def _postgres(settings: Settings) -> ICustomerStore:
    from customer_service.engines.postgres import PostgresCustomerRepository

    return PostgresCustomerRepository.open(_url(settings), settings.namespace)


def _mongo(settings: Settings) -> ICustomerStore:
    from customer_service.engines.mongo import MongoCustomerRepository

    return MongoCustomerRepository.open(_url(settings), settings.namespace)


def _duckdb(settings: Settings) -> ICustomerStore:
    from customer_service.engines.duck import DuckDBCustomerRepository

    return DuckDBCustomerRepository.open(_url(settings))


def _url(settings: Settings) -> str:
    if not settings.url:
        raise ConfigurationError(
            f"the engine {settings.engine} needs CUSTOMER_URL: an address, or a file for duckdb"
        )
    return settings.url


# O (open/closed): a new engine is a new file and a new entry. Nothing that works is edited.
class RepositoryFactory:
    """Opens the store that the settings name. Whoever opens it closes it."""

    engines: ClassVar[dict[str, Opener]] = {
        "memory": _memory, "postgres": _postgres, "mongo": _mongo, "duckdb": _duckdb,
    }  # fmt: skip

    @classmethod
    def create_customer_repository(cls, settings: Settings | None = None) -> ICustomerStore:
        """The store for `settings`, by default those of the environment.

        Raises:
            ConfigurationError: the engine is not known, or its address is missing.
            StoreUnavailable: nobody answers there.
        """
        settings = settings or Settings.from_environment()
        opener = cls.engines.get(settings.engine)
        if opener is None:
            known = ", ".join(sorted(cls.engines))
            raise ConfigurationError(f"no engine {settings.engine!r}; there are: {known}")
        return opener(settings)
