"""The error that a handler or a layer raises to answer with a status of its own."""

from collections.abc import Iterable
from http import HTTPStatus


class HttpError(Exception):
    """Ends the request with `status`; `detail` is for the client, so it holds no secret.

    `headers` are added to the answer: Allow to a 405, Retry-After to a 429. `problems` are what was
    wrong with single fields.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        headers: Iterable[tuple[str, str]] = (),
        problems: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail or HTTPStatus(status).phrase
        self.headers = tuple(headers)
        self.problems = problems


class SetupError(Exception):
    """The application contradicts itself. Raised while it is put together, not by a request."""
