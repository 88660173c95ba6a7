"""A small web framework: a WSGI application from the standard library alone.

Read it in this order. The way of a request: `request`, `response`, `errors`; `routing`; `onion`;
`app`, which joins them. These six are the core, about 400 lines of code. What hangs on it, one idea
a file: `converters`, `injection`, `conditional`, `caching`, `validation`, `security`, `files` and
the layers in `middleware`. Beside it: `testing`, a client without a network; `serving`, the
standard library's server made fit for strangers; `fuzzing`, the strangers; `shop_api`, an
application; `clients` and `racing`, what the lesson asks and measures with.
"""

from web_framework.app import App
from web_framework.caching import cache
from web_framework.errors import HttpError, SetupError
from web_framework.files import send_file
from web_framework.middleware.authentication import Authentication
from web_framework.middleware.compression import Compression
from web_framework.middleware.logging import Logging
from web_framework.middleware.rate_limiting import RateLimiting
from web_framework.request import Request
from web_framework.response import Response, Stream
from web_framework.security import Passwords, Tokens, User, hash_password, require
from web_framework.validation import Between, validate

__all__ = [
    "App", "Authentication", "Between", "Compression", "HttpError", "Logging", "Passwords",
    "RateLimiting", "Request", "Response", "SetupError", "Stream", "Tokens", "User", "cache",
    "hash_password", "require", "send_file", "validate",
]  # fmt: skip
