"""The live demo: `python -m src.demo` starts the service and shows it, scene by scene.

On a terminal it waits for Enter before each answer; elsewhere it runs through. It needs a trained
model and Redis, and says what to run where one is missing. Plan B needs nothing but Python:
--recorded plays what a live run has said, with the same pauses.

Exit codes: 0 shown, 1 something went otherwise than it should, 2 a wrong option, 69 no Redis,
130 Ctrl-C, or asked to end.
"""

from __future__ import annotations

import argparse
import signal
import sys
import textwrap
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

from src.demo.backstage import FAILED, DemoError, curtain, shown
from src.demo.scenes import SCENES, perform
from src.demo.stage import RECORDING, WIDTH, Stage, play, somebody_watches

INTERRUPTED = 130
BROKEN = (DemoError, OSError, RuntimeError, ValueError, KeyError, HTTPException)


def main(argv: Sequence[str] | None = None) -> int:
    """Show it, live or recorded; the exit code."""
    options = parser().parse_args(argv)
    if options.record and options.first > 1:
        parser().error("a recording holds all scenes: leave --from out")
    end_in_order()
    stage = Stage(pauses=somebody_watches() and not options.record)
    try:
        if options.recorded:
            stage.say("Plan B: this was recorded; nothing is running.\n")
            play(RECORDING.read_text(encoding="utf-8"), stage, options.first)
        else:
            live(stage, options.home, options.first)
        if options.record:
            RECORDING.write_text("\n".join(stage.lines).strip("\n") + "\n", encoding="utf-8")
            print(f"Recorded in {shown(RECORDING)}.")
    except KeyboardInterrupt:
        print()
        return INTERRUPTED
    except BROKEN as error:
        print(f"\n{textwrap.fill(str(error), WIDTH, break_on_hyphens=False)}", file=sys.stderr)
        if not options.recorded:
            typed = sys.orig_argv[0]  # what works here: python, python3 or a path
            print(f"Plan B: `{typed} -m src.demo --recorded` shows it without.", file=sys.stderr)
        return error.code if isinstance(error, DemoError) else FAILED
    return 0


def live(stage: Stage, home: Path | None, first: int) -> None:
    """The real thing."""
    print("Starting the service ...", flush=True)
    with curtain(home) as show:
        perform(stage, show, first)


def end_in_order() -> None:
    """Let the service end too when the terminal is closed, or somebody ends the demo."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m src.demo", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    which = made.add_mutually_exclusive_group()
    which.add_argument("--recorded", action="store_true", help="plan B: play the recorded demo")
    which.add_argument("--record", action="store_true", help="run it live and renew the recording")
    made.add_argument("--home", type=Path, help="the folder in which the pipeline has run")
    made.add_argument(
        "--from", dest="first", type=int, default=1, metavar="N",
        choices=range(1, len(SCENES) + 1), help=f"begin with scene N, 1 to {len(SCENES)}",
    )  # fmt: skip
    return made


if __name__ == "__main__":
    sys.exit(main())
