"""The errors that the course explains in one plain sentence instead of a traceback."""

OK, FAILED, USAGE, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 69, 130


class CourseError(Exception):
    """Something the user can put right; its text says what it is and what to do."""

    exit_code = FAILED


class UsageError(CourseError):
    """A name or an option that doesn't fit."""

    exit_code = USAGE


class ServiceUnavailable(CourseError):  # noqa: N818
    """A service that a lesson needs can't be had.

    `problem` says what is missing, `looked` where it was looked for and `command` what brings it.
    """

    exit_code = UNAVAILABLE

    def __init__(self, service: str, problem: str, looked: str, command: str) -> None:
        self.service, self.problem, self.looked, self.command = service, problem, looked, command
        super().__init__(f"{problem} (looked at: {looked}). To get it: {command}")
