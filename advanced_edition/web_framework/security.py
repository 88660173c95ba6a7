"""Passwords, tokens and roles.

Secrets are compared with `hmac.compare_digest`: `==` stops at the first difference, and the time it
takes tells how much of a guess was right.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from web_framework.errors import HttpError
from web_framework.onion import Call, Handler, around
from web_framework.request import Request
from web_framework.response import Response

COST = {"n": 2**14, "r": 8, "p": 1}  # 16 MB and some 40 ms for each try, ours or a thief's
LONGEST_PASSWORD = 200
CHALLENGE = [("WWW-Authenticate", "Bearer")]


@dataclass(frozen=True)
class User:
    """Who is there, and as what."""

    name: str
    role: str


def hash_password(password: str, salt: bytes | None = None) -> bytes:
    """What may stand in a database: a salt of 16 bytes, then scrypt's answer (RFC 7914).

    Raises ValueError for a password of more than 200 characters.
    """
    if len(password) > LONGEST_PASSWORD:
        raise ValueError(f"a password has at most {LONGEST_PASSWORD} characters")
    salt = salt or secrets.token_bytes(16)
    return salt + hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, **COST)


class Passwords:
    """Users by name, each with the hash of a password."""

    def __init__(self, users: Mapping[str, tuple[str, bytes]]) -> None:
        self.users = dict(users)
        self.nobody = ("", hash_password(secrets.token_hex()))

    def user(self, name: str, password: str) -> User | None:
        """The user, or None. An unknown name takes as long as a wrong password."""
        role, stored = self.users.get(name, self.nobody)
        given = hash_password(password[:LONGEST_PASSWORD], salt=stored[:16])
        right = hmac.compare_digest(given, stored) and len(password) <= LONGEST_PASSWORD
        return User(name, role) if right and name in self.users else None


class Tokens:
    """Signed statements `who, as what, until when`: the server stores nothing.

    Everybody can read one, only the holder of `secret` can make one. The price of storing nothing:
    a token can't be taken back before it ends, so it ends soon. `clock` is the time of day, since
    tokens outlive the process.
    """

    def __init__(
        self, secret: bytes, seconds: float = 900, clock: Callable[[], float] = time.time
    ) -> None:
        if len(secret) < 32:
            raise ValueError("a secret has at least 32 random bytes: secrets.token_bytes(32)")
        self.secret, self.seconds, self.clock = secret, seconds, clock

    def issue(self, user: User) -> str:
        """A token for `user`."""
        claims = [user.name, user.role, self.clock() + self.seconds]
        said = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
        return f"{said}.{self._signature(said)}"

    def user(self, token: str) -> User | None:
        """Who a token speaks for; None if it isn't ours or is too old."""
        said, _, signature = token.partition(".")
        expected = self._signature(said).encode()
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected):
            return None
        name, role, until = json.loads(base64.urlsafe_b64decode(said))
        return User(name, role) if self.clock() < until else None

    def _signature(self, said: str) -> str:
        text = said.encode("utf-8", "replace")
        return hmac.new(self.secret, text, hashlib.sha256).hexdigest()


def require(*roles: str) -> Callable[[Handler], Handler]:
    """Let a handler answer users only, and only those of `roles` where some are named.

    401 says "I don't know you", 403 "I know you, and no".
    """

    def layer(request: Request, call_next: Call) -> Response:
        if request.user is None:
            raise HttpError(401, "log in first", CHALLENGE)
        if roles and request.user.role not in roles:
            raise HttpError(403, f"this is for {' or '.join(roles)}")
        return call_next(request)

    return around(layer)
