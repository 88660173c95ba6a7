"""The commands by name, and how one is answered.

A handler is a function `(context, command) -> reply`, registered with the options it understands.
An option that is not on its list is refused: an option ignored would be a wrong answer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from course.stack.mongo_server.cursors import Cursors
from course.stack.mongo_server.errors import CommandError, unsupported
from course.stack.mongo_server.storage import Collection, Database, Server
from course.stack.mongo_server.wire import Document, words

# What any command may carry. Sessions are accepted and mean nothing here; time limits as well.
GENERAL_OPTIONS = words(
    "$db $readPreference $clusterTime lsid comment maxTimeMS readConcern writeConcern "
    "apiVersion apiStrict apiDeprecationErrors"
)
TRANSACTIONS = words("txnNumber startTransaction autocommit commitTransaction abortTransaction")


@dataclass
class Context:
    """What a handler works with."""

    server: Server
    cursors: Cursors
    connection_id: int
    database_name: str

    @cached_property
    def database(self) -> Database:
        """The database that the command names."""
        return self.server.get_database(self.database_name)

    def collection(self, command: Document) -> Collection:
        """The collection that the command names, as the value of its first field."""
        name = next(iter(command.values()))
        if not isinstance(name, str) or not name:
            raise CommandError(73, f"a collection's name must be a text, not {name!r}")
        return self.database.get_collection(name)


Handler = Callable[[Context, Document], Document]


@dataclass(frozen=True)
class Registration:
    """A handler and the options that it takes."""

    handler: Handler
    options: frozenset[str]
    instant: bool


@dataclass
class Registry:
    """Handlers by lower-case command name."""

    handlers: dict[str, Registration] = field(default_factory=dict)

    def command(
        self, *names: str, options: str = "", instant: bool = False
    ) -> Callable[[Handler], Handler]:
        """Register a handler for commands; `instant` ones touch no data."""

        def register(handler: Handler) -> Handler:
            known = Registration(handler, frozenset(options.split()), instant)
            self.handlers.update({name.lower(): known for name in names})
            return handler

        return register

    def is_instant(self, command: Document) -> bool:
        """Whether the command can be answered while another one is at work."""
        found = self.handlers.get(next(iter(command)).lower())
        return found is not None and found.instant

    def answer(self, context: Context, command: Document) -> Document:
        """The reply of the command's handler.

        Raises:
            CommandError: an unknown command, an unknown option, or the handler's own refusal.
        """
        if TRANSACTIONS & set(command):
            raise unsupported("transactions", code=20)
        name = next(iter(command))
        found = self.handlers.get(name.lower())
        if found is None:
            raise unsupported(f"the command {name}", code=59)
        unknown = set(command) - {name} - found.options - GENERAL_OPTIONS
        if unknown and "*" not in found.options:
            raise unsupported(f"the option {min(unknown)} of {name}")
        return found.handler(context, command)


def whole(command: Document, option: str, default: int | None = None) -> Any:
    """An option that must be a whole number from 0 on, or its default.

    Raises:
        CommandError: 9 if it is something else.
    """
    value = command.get(option)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value % 1:
        raise CommandError(9, f"'{option}' must be a whole number from 0 on, got {value!r}")
    return int(value)
