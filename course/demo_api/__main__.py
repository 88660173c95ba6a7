"""The demo API as a command: `python -m course.demo_api --port 8080`; Ctrl-C ends it."""

import argparse
import asyncio
import sys

from course.demo_api.server import running

IDLE_MINUTES = 10.0


async def serve_until_idle(port: int, seed: int, idle_seconds: float) -> None:
    """Serve until nobody has asked anything for `idle_seconds` (infinite: until interrupted)."""
    clock = asyncio.get_running_loop().time
    async with running(port, seed) as (base_url, server):
        print(f"The demo API listens on {base_url} (Ctrl-C ends it).", flush=True)
        server.last_used = clock()
        # What ends this wait is time without requests, so there is no event to wait for.
        while (left := server.last_used + idle_seconds - clock()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, 3600))
    print(f"Nobody asked for {idle_seconds / 60:g} minutes: the demo API ends.")


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 when it ended as it should, 1 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m course.demo_api", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="any free one when not given")
    parser.add_argument("--seed", type=int, default=2025, help="another seed gives other data")
    parser.add_argument(
        "--idle-minutes", type=float, metavar="N",
        default=float("inf") if sys.stdin.isatty() else IDLE_MINUTES,
        help=f"end after N minutes without a request (off a terminal: {IDLE_MINUTES:g})",
    )  # fmt: skip
    options = parser.parse_args(argv)
    try:
        asyncio.run(serve_until_idle(options.port, options.seed, options.idle_minutes * 60))
    except KeyboardInterrupt:
        print("\nStopped.")
    except OSError as error:
        print(f"Can't listen on port {options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
