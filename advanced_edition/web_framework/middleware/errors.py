"""Errors become answers: what was raised on purpose says why, all else says nothing.

This layer is always there, around each ring of the onion. A traceback goes to the server's log,
never to the client: it tells an attacker which files, libraries and versions to look at.
"""

import traceback
from collections.abc import Callable

from web_framework.errors import HttpError
from web_framework.request import Request
from web_framework.response import Response, of_error


def guarded(call: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """`call`, which now returns a response whatever happens inside."""

    def answered(request: Request) -> Response:
        try:
            return call(request)
        except HttpError as error:
            request.failure = error
            return of_error(error)
        except Exception as error:
            request.failure = error
            return failed(request)

    return answered


def ended(request: Request, response: Response) -> Response:
    """End the request: a failure to do so, such as a COMMIT that is refused, is a failure of it."""
    try:
        request.end()
    except Exception:
        return failed(request)
    return response


def failed(request: Request) -> Response:
    """500 for the client, the traceback of the error in hand for the server's log."""
    request.environ["wsgi.errors"].write(traceback.format_exc())
    return of_error(HttpError(500, "something went wrong here; it is in our log"))
