"""The prediction service as a command: `python -m src.api`; Ctrl-C or SIGTERM ends it.

Run in the serving environment, from the project's folder. It answers on port 9696: a page for
people at /, the rest for programs (docs/API.md). Asked to end, it takes no new connection and
finishes what it has begun.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from src.params import ParamsError
from src.service.settings import DEMO_KEYS, from_environment, port_number


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it ended as it should, 1 when it could not start."""
    parser = argparse.ArgumentParser(
        prog="python -m src.api", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--port", type=port_number, help="0: any free one (default: 9696)")
    parser.add_argument("--host", help="0.0.0.0 for all interfaces (default: this machine only)")
    options = parser.parse_args(argv)
    try:
        settings = from_environment(port=options.port, host=options.host)
        logging.basicConfig(
            level=settings.log_level.upper(),
            format="%(asctime)s %(levelname)s %(name)s %(message)s",
        )
        if settings.api_keys == DEMO_KEYS:
            print("Anybody on this machine may ask, with the key demo-key.", flush=True)
        # Here, since it loads XGBoost and more: who set something wrong needn't wait for that.
        from src.service.app import create_app
        from src.service.server import run

        run(create_app(settings), settings)
    except (OSError, ValueError, ParamsError) as error:
        print(f"The service can't start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
