"""What can go wrong, each with a sentence that says what to do."""

from course.errors import CourseError


class LedgerError(CourseError):
    """Anything that the ledger refuses to do."""


class BadRequest(LedgerError):  # noqa: N818
    """The request makes no sense; nothing was recorded. Correct it and send it again."""


class KeyReused(BadRequest):
    """The idempotency key belongs to another request."""


class WrongState(LedgerError):  # noqa: N818
    """A transaction can't go from the state that it is in to the one wanted."""


class LogDamaged(LedgerError):  # noqa: N818
    """The log can't be trusted: it is damaged where it was once whole."""


class LogInUse(LedgerError):  # noqa: N818
    """Another process writes this log."""


class LogFailed(LedgerError):  # noqa: N818
    """The disk refused a write or an fsync: this process must not go on writing."""
