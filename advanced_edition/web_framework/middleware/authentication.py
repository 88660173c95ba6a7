"""Who is it: a bearer token becomes `request.user`.

A request without a token goes on as nobody; whether that is enough, each handler says with
`@require`. A token that is wrong or too old is refused here.
"""

from web_framework.errors import HttpError
from web_framework.onion import Call
from web_framework.request import Request
from web_framework.response import Response
from web_framework.security import Tokens


class Authentication:
    """Read `Authorization: Bearer …` with `tokens`."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def __call__(self, request: Request, call_next: Call) -> Response:
        given = request.header("Authorization")
        if given:
            scheme, _, token = given.partition(" ")
            user = self.tokens.user(token.strip()) if scheme.lower() == "bearer" else None
            if user is None:
                challenge = 'Bearer error="invalid_token"'
                raise HttpError(401, "log in again", [("WWW-Authenticate", challenge)])
            request.user = user
        return call_next(request)
