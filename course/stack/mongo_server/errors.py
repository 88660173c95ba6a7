"""Errors as MongoDB words them: a a code and a message."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bson.errors import BSONError
from pymongo.errors import CollectionInvalid, InvalidName, OperationFailure


class CommandError(Exception):
    """A command failed; `code` is MongoDB's number for the reason."""

    def __init__(self, code: int, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def as_reply(self) -> dict[str, Any]:
        """The error as the answer to a whole command."""
        return {"ok": 0.0, "errmsg": self.message, "code": self.code} | self.details

    def as_write_error(self, index: int) -> dict[str, Any]:
        """The error as one entry of `writeErrors`, for the `index`-th write of a batch."""
        return {"index": index, "code": self.code, "errmsg": self.message} | self.details


def unsupported(what: str, code: int = 115) -> CommandError:
    """The error for something that a real MongoDB can do and this one cannot."""
    return CommandError(
        code,
        f"the embedded MongoDB of this course (mongomock) does not support {what}; "
        "use a real MongoDB: docker compose up -d",
    )


@contextmanager
def mongomock_errors() -> Iterator[None]:
    """Turn what mongomock raises into command errors; where it is clumsy, Python's own errors too.

    Raises:
        CommandError: 115 if mongomock lacks something, else MongoDB's code or the nearest one.
    """
    try:
        yield
    except NotImplementedError as problem:
        raise unsupported(f"this ({problem})") from problem
    except OperationFailure as problem:
        raise CommandError(problem.code or 2, str(problem)) from problem
    except InvalidName as problem:
        raise CommandError(73, str(problem)) from problem
    except CollectionInvalid as problem:
        raise CommandError(48, str(problem)) from problem
    except TypeError as problem:
        raise CommandError(14, f"mongomock could not evaluate this: {problem}") from problem
    except (
        *(ValueError, LookupError, AttributeError, AssertionError, ArithmeticError),
        *(RecursionError, BSONError),
    ) as problem:
        raise CommandError(2, f"mongomock could not evaluate this: {problem!r}") from problem
