"""Try again, but politely: only what may pass, with waits that double."""

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
    for attempt in range(attempts - 1):
        try:
            return await ask()
        except Busy:
            await sleep(2**attempt)
    return await ask()
