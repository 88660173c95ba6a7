"""Try again, but politely.

Servers fail for a moment. Write `get`, which calls `ask()` up to `attempts` times:

- a `Busy` error: wait and try again. Wait 1 s after the first failure, 2 s after the second, then
  4 s, 8 s … (`await sleep(seconds)`; it is given, so that tests need not wait);
- a `Refused` error: asking again is no use. Let it out at once;
- when the last attempt fails, let its error out, without waiting before that.
"""

from collections.abc import Awaitable, Callable


class Busy(Exception):  # noqa: N818
    """The server can't answer now."""


class Refused(Exception):  # noqa: N818
    """The server will never answer this."""


async def get(
    ask: Callable[[], Awaitable[str]],
    sleep: Callable[[float], Awaitable[None]],
    attempts: int = 4,
) -> str:
    """The answer of `ask`, tried up to `attempts` times."""
    raise NotImplementedError("TODO: try, wait, try again")
