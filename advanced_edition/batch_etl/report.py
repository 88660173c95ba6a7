"""The run report: the same facts as text for people and as JSON for machines."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from batch_etl.alerts import Alert
from batch_etl.pipeline import Metrics
from batch_etl.target import Account, Target


def reasons(target: Target, run: str, most: int = 5) -> list[tuple[str, int]]:
    """The commonest reasons in the quarantine of `run` by field, and how many rows each has."""
    return target.connection.execute(
        "SELECT substr(reason, 1, instr(reason || ':', ':') - 1) AS field, count(*) "
        "FROM quarantine JOIN runs USING (run) WHERE name = ? "
        "GROUP BY field ORDER BY count(*) DESC, field LIMIT ?", [run, most],
    ).fetchall()  # fmt: skip


def as_dict(target: Target, metrics: Metrics, alerts: Sequence[Alert]) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "run": metrics.run,
        "balances": metrics.total.balances,
        "total": asdict(metrics.total),
        "sources": {name: asdict(account) for name, account in metrics.accounts.items()},
        "quarantine": dict(reasons(target, metrics.run)),
        "alerts": [asdict(alert) for alert in alerts],
        "troubles": metrics.troubles,
        "seconds": round(metrics.seconds, 3),
        "rows_per_second": round(metrics.rows_per_second),
        "stages": {name: round(seconds, 3) for name, seconds in metrics.stages.items()},
        "commits": metrics.commits,
    }


def as_json(report: dict[str, Any]) -> str:
    """The report for machines."""
    return json.dumps(report, indent=2)


def account_rows(metrics: Metrics) -> list[dict[str, Any]]:
    """The account of each source and of all, as rows of a table."""
    accounts = {**metrics.accounts, "all": metrics.total}
    return [{"source": name, **asdict(account)} for name, account in accounts.items()]


def as_text(report: dict[str, Any]) -> str:
    """The report for people; its times differ from run to run."""
    total, alerts = Account(**report["total"]), report["alerts"]
    lines = [
        f"Run {report['run']}: {total.rows_in:,} rows in",
        f"  = {total.loaded:,} loaded + {total.quarantined:,} quarantined + "
        f"{total.deduplicated:,} deduplicated",
        f"  {'balances' if report['balances'] else 'DOES NOT BALANCE'}; {report['commits']:,} "
        f"commits, {report['seconds']:.2f} s, {report['rows_per_second']:,} rows/s",
    ]
    lines += [
        f"  source {name}: {one['rows_in']:,} rows" for name, one in report["sources"].items()
    ]
    lines += [f"  quarantined for {name}: {n:,}" for name, n in report["quarantine"].items()]
    lines += [f"  asked again after {name}: {n:,}" for name, n in report["troubles"].items()]
    lines += [f"  {a['severity'].upper()} {a['rule']}: {a['message']}. Next: {a['next_step']}"
              for a in alerts] or ["  no alerts"]  # fmt: skip
    return "\n".join(lines)
