"""Alert rules, evaluated in code after each run: each one names its figure, limit and next step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from batch_etl.pipeline import Metrics
from batch_etl.schema import TODAY
from batch_etl.target import Account, Target

WARNING, CRITICAL = "warning", "critical"


@dataclass(frozen=True)
class Facts:
    """What the rules look at; rates are shares of the rows in, `age_days` is the newest order's.

    `usual_rows` is the median of the runs before, None where there were none.
    """

    account: Account
    age_days: int | None
    usual_rows: float | None
    silent: Sequence[str]

    def share(self, count: int) -> float:
        """`count` as a share of the rows in."""
        return count / self.account.rows_in if self.account.rows_in else 0.0


@dataclass(frozen=True)
class Rule:
    """`broken(facts)` says what is wrong, or returns nothing."""

    name: str
    severity: str
    broken: Callable[[Facts], str | None]
    next_step: str


@dataclass(frozen=True)
class Alert:
    """A broken rule of one run."""

    rule: str
    severity: str
    message: str
    next_step: str


def _above(name: str, limit: float) -> Callable[[Facts], str | None]:
    def broken(facts: Facts) -> str | None:
        share = facts.share(getattr(facts.account, name))
        return f"{share:.1%} {name}, limit {limit:.0%}" if share > limit else None

    return broken


def _volume(facts: Facts) -> str | None:
    rows, usual = facts.account.rows_in, facts.usual_rows
    if usual is None or usual / 2 <= rows <= usual * 2:
        return None
    return f"{rows:,} rows, usual are {usual:,.0f}"


def _stale(facts: Facts) -> str | None:
    if facts.age_days is not None and facts.age_days <= 2:
        return None
    age = "there is no order" if facts.age_days is None else f"newest {facts.age_days} days old"
    return f"{age}, limit 2 days"


def _silent(facts: Facts) -> str | None:
    return f"no rows from {', '.join(facts.silent)}" if facts.silent else None


def _unbalanced(facts: Facts) -> str | None:
    return None if facts.account.balances else f"{facts.account} does not add up"


RULES = (
    Rule("balance", CRITICAL, _unbalanced, "stop: the pipeline loses or invents rows"),
    Rule("quarantine rate", WARNING, _above("quarantined", 0.02), "read the top reasons"),
    Rule("quarantine flood", CRITICAL, _above("quarantined", 0.10), "undo it, call the source"),
    Rule("duplicate rate", WARNING, _above("deduplicated", 0.10), "is a file delivered twice?"),
    Rule("volume", WARNING, _volume, "compare with the source's own count"),
    Rule("freshness", CRITICAL, _stale, "has the export run?"),
    Rule("silent source", CRITICAL, _silent, "ask the source's owner"),
)


def gather(target: Target, metrics: Metrics, today: date = TODAY) -> Facts:
    """The facts of a run, read from the target."""
    ask = target.connection.execute
    (newest,) = ask("SELECT max(ordered_on) FROM orders").fetchone()
    history = ask(
        "SELECT sum(rows_in) FROM checkpoints JOIN runs USING (run) "
        "WHERE run < (SELECT run FROM runs WHERE name = ?) GROUP BY run", [metrics.run],
    ).fetchall()  # fmt: skip
    return Facts(
        account=metrics.total,
        age_days=(today - date.fromisoformat(newest)).days if newest else None,
        usual_rows=median(rows for (rows,) in history) if history else None,
        silent=[name for name, account in metrics.accounts.items() if not account.rows_in],
    )


def evaluate(facts: Facts, rules: Sequence[Rule] = RULES) -> list[Alert]:
    """The rules that `facts` break, in the order of the rules."""
    found = ((rule, rule.broken(facts)) for rule in rules)
    return [Alert(r.name, r.severity, message, r.next_step) for r, message in found if message]
