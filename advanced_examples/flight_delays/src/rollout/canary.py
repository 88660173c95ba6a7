"""Bring a new version to all users step by step: `python -m src.rollout.canary --router URL`.

The candidate behind the router gets 10 % of the flights, then 50 %, then all; each step takes a
window of 10 minutes. It is rolled back at once when it surely breaks a limit, and at the end of a
window when its plain figures do: more than 5 % of its requests fail, its accuracy is under 0.75, or
its p99 is over 2000 ms. A window with too little traffic is repeated, three times at most, and
then the candidate gets nothing: it is never promoted for want of evidence.

    --steps 10 50 100 --window 600     what it does by default

Whatever ends this command early (Ctrl-C, kill -9, a router that is away) takes the candidate off
the air: the share is on lease. Exits 0 when all flights go to the candidate, 1 when it was rolled
back, 2 when the rollout couldn't begin or go on, 3 when there was too little to judge by, 130 when
it was stopped. See docs/ROLLOUT.md.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from src import paths
from src.packed import PREFIX
from src.rollout.client import RouterClient
from src.rollout.drive import Drive, Plan, RolloutError
from src.rollout.progress import Decision
from src.rollout.truth import Truth
from src.service.settings import seconds

STEPS, WINDOW, EVERY, WINDOWS = (10.0, 50.0, 100.0), 600.0, 5.0, 3
EXITS = {Decision.FINISH: 0, Decision.ROLL_BACK: 1, Decision.GIVE_UP: 3}
CANT, STOPPED = 2, 130


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; ends the process (2) when it can't be used."""
    parser = argparse.ArgumentParser(
        prog="python -m src.rollout.canary", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    # fmt: off
    add("--router", required=True, metavar="URL", help="such as http://127.0.0.1:9695")
    add("--steps", type=float, nargs="+", default=STEPS, metavar="PERCENT",
        help="rising shares in percent (default: 10 50 100)")
    add("--window", type=seconds, default=WINDOW, metavar="SECONDS",
        help="how long a step takes (default: 600)")
    add("--every", type=seconds, metavar="SECONDS",
        help="between two looks (default: 5, or a tenth of the window if that is less)")
    add("--windows", type=int, default=WINDOWS, metavar="N",
        help="how many windows a step may take when there is little traffic (default: 3)")
    add("--without-accuracy", action="store_true",
        help="don't wait for flights to land: judge by errors and p99 only")
    add("--report", type=Path, help="the JSON report (default: reports/rollout.json)")
    # fmt: on
    options = parser.parse_args(argv)
    steps = options.steps
    if not all(low < high for low, high in pairwise((0, *steps))) or not steps[-1] <= 100:
        parser.error("--steps must rise, from over 0 to at most 100 percent")
    if options.windows < 1:
        parser.error("--windows must be 1 or more")
    options.every = options.every or min(EVERY, options.window / 10)
    return options


def planned(options: argparse.Namespace) -> Plan:
    """What the options ask for."""
    return Plan(
        steps=tuple(step / 100 for step in options.steps), window=options.window,
        every=options.every, looks=math.ceil(options.window / options.every),
        windows=options.windows,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are above."""
    options = arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    # A deployment that is cancelled sends SIGTERM: it ends as by Ctrl-C, with the share taken back.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    router = RouterClient(options.router, os.environ.get("FLIGHTS_ROLLOUT_KEY", ""))
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    prefix = os.environ.get("FLIGHTS_KEY_PREFIX", PREFIX)
    truth = None if options.without_accuracy else Truth(url, prefix, time.time())
    drive = Drive(router, planned(options), truth)
    report = options.report or paths.reports() / "rollout.json"
    try:
        return EXITS[drive.run()]
    except RolloutError as error:
        print(f"The rollout can't go on: {error}", file=sys.stderr)
        return CANT
    except KeyboardInterrupt:
        return STOPPED
    finally:
        drive.write(report)
        print(f"Report: {paths.shown(report.resolve())}")


if __name__ == "__main__":
    sys.exit(main())
