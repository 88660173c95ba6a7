"""304: the client has it already, and says so with If-None-Match.

The tags are weak (`W/"…"`): they name the content, not its bytes, so a compressed answer keeps its
tag.
"""

import re
from hashlib import blake2b

from web_framework.request import Request
from web_framework.response import Response

TAG = re.compile(r'(?:W/)?("[^"]*")')
KEPT = ("etag", "cache-control", "vary", "age")


def tag_of(body: bytes) -> str:
    """An entity tag for a body."""
    return f'W/"{blake2b(body, digest_size=12).hexdigest()}"'


def unless_known(request: Request, response: Response) -> Response:
    """`response`, or 304 if the client named its ETag."""
    known = request.environ.get("HTTP_IF_NONE_MATCH")
    if not known or response.status != 200 or request.method not in ("GET", "HEAD"):
        return response
    tag = response.header("ETag")
    if not tag or (known.strip() != "*" and tag.removeprefix("W/") not in TAG.findall(known)):
        return response
    close = getattr(response.body, "close", None)
    if close:
        close()
    return Response(
        status=304, headers=[item for item in response.headers if item[0].lower() in KEPT]
    )
