"""The pipeline as a program, as a scheduler would start it: `python -m batch_etl --help`.

Exit codes: 0 when the run is complete, 1 when a source or the run fails, 2 for wrong options,
3 when it is complete but an alert is critical.
"""

import argparse
import sys
from pathlib import Path

from batch_etl import alerts, report
from batch_etl.api import ApiSource
from batch_etl.files import CsvFile, JsonLinesFile
from batch_etl.pipeline import COMMIT_ROWS, run_etl
from batch_etl.records import Source, SourceError
from batch_etl.target import RunError, opened

CRITICAL_ALERT = 3


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="python -m batch_etl", description=__doc__)
    options.add_argument("--target", type=Path, required=True, help="the SQLite file")
    options.add_argument("--run", required=True, help="the run's name, such as the day it is for")
    options.add_argument("--csv", type=Path, action="append", default=[])
    options.add_argument("--json-lines", type=Path, action="append", default=[])
    options.add_argument("--api", action="append", default=[], metavar="URL")
    options.add_argument("--commit-rows", type=int, default=COMMIT_ROWS)
    options.add_argument("--stop-above", type=float, default=1.0, metavar="SHARE",
                         help="undo the run when more of a source is quarantined")  # fmt: skip
    options.add_argument("--undo", action="store_true", help="take the run back instead")
    options.add_argument("--json", action="store_true", help="the report as JSON")
    return options


def sources(chosen: argparse.Namespace) -> list[Source]:
    """The sources that the options name, files first."""
    return [
        *(CsvFile(path) for path in chosen.csv),
        *(JsonLinesFile(path) for path in chosen.json_lines),
        *(ApiSource(url) for url in chosen.api),
    ]


def main() -> int:
    """Run or undo, print the report."""
    options = parser()
    chosen = options.parse_args()
    wanted = sources(chosen)
    if len({source.name for source in wanted}) < len(wanted):
        options.error("two sources have the same name")
    if not wanted and not chosen.undo:
        options.error("no source: give --csv, --json-lines or --api")
    print("started", file=sys.stderr, flush=True)
    try:
        with opened(chosen.target) as target:
            if chosen.undo:
                target.undo(chosen.run)
                return 0
            metrics = run_etl(target, chosen.run, wanted, chosen.commit_rows, chosen.stop_above)
            found = alerts.evaluate(alerts.gather(target, metrics))
            made = report.as_dict(target, metrics, found)
    except (SourceError, RunError) as error:
        print(error, file=sys.stderr)
        return 1
    print(report.as_json(made) if chosen.json else report.as_text(made))
    return CRITICAL_ALERT if any(alert.severity == alerts.CRITICAL for alert in found) else 0


if __name__ == "__main__":
    sys.exit(main())
