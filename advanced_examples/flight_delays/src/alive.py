"""Whether the service on this machine answers: `python -m src.alive`; 1 when it doesn't.

The container's health check. It needs no program beside Python, and asks /health, which asks no
neighbour: a Redis that is away must not get the service restarted.
"""

from __future__ import annotations

import os
import sys
from urllib.error import URLError
from urllib.request import urlopen

SECONDS = 3.0


def main() -> int:
    """Ask once and say what came of it."""
    url = f"http://127.0.0.1:{os.environ.get('FLIGHTS_PORT') or 9696}/health"
    try:
        with urlopen(url, timeout=SECONDS) as answer:
            print(answer.read().decode())
    except (URLError, OSError) as error:
        print(f"{url} does not answer as it should: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
