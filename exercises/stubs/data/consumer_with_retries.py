"""A consumer that tries again, and gives up properly.

Write `consume_one`: it takes one message from the queue `work` (`channel.basic_get`), if there is
one, and settles it.

- `handle(event)` goes well: acknowledge the message.
- `handle` raises: publish the message again, to the first of the `waits` after the first attempt,
  to the second after the second … (queues whose messages come back to `work` by themselves).
  After the attempt that follows the last wait, publish it to `dead` instead.

The header "attempt" says which attempt it is; without it, it is the first. What you publish has
the number of the *next* attempt in it, and in `dead` the number of the last one, with the error's
text in the header "error". Publish first, acknowledge then: killed in between, you have it twice,
not never. What isn't JSON goes to `dead` at once. Publish to a queue with the exchange "" and the
queue's name as the routing key, persistent. Return False when there was no message.
"""

from collections.abc import Callable
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel


def consume_one(
    channel: BlockingChannel,
    work: str,
    waits: list[str],
    dead: str,
    handle: Callable[[Any], None],
) -> bool:
    """Take one message from `work` and settle it; False when there is none."""
    raise NotImplementedError("TODO: get, handle, settle")
