"""Order, types, secrets, and a forger."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

from course.exercises import expect, require

AT = datetime(2025, 10, 26, 12, tzinfo=UTC)


def check_fields(their):
    """Time, level and event first, then the fields"""
    line = their.log_line("order.failed", AT, level="error", order_id=17)
    expect(
        json.loads(line),
        {
            "at": "2025-10-26T12:00:00+00:00",
            "level": "error",
            "event": "order.failed",
            "order_id": 17,
        },
        "A line that json.loads can read.",
    )
    expect(list(json.loads(line)), ["at", "level", "event", "order_id"], "In this order.")
    expect(json.loads(their.log_line("start", AT))["level"], "info", "Unless told otherwise.")


def check_utc(their):
    """Times are written in UTC"""
    kyiv = timezone(timedelta(hours=2))
    line = their.log_line("start", datetime(2025, 10, 26, 14, tzinfo=kyiv))
    expect(json.loads(line)["at"], "2025-10-26T12:00:00+00:00", "at.astimezone(UTC).isoformat()")


def check_types(their):
    """What JSON doesn't know becomes text"""
    line = their.log_line(
        "x", AT, total=Decimal("9.90"), day=date(2025, 1, 2), error=ValueError("no"), ok=True
    )
    found = {key: json.loads(line).get(key) for key in ("total", "day", "error", "ok")}
    expect(found, {"total": "9.90", "day": "2025-01-02", "error": "no", "ok": True},
           "json.dumps has an argument for what it doesn't know.")  # fmt: skip


def check_secrets(their):
    """Secrets don't get into a log"""
    line = their.log_line("login", AT, user="ann", password="tea4two", Token="abc")
    require("tea4two" not in line and "abc" not in line, f"a secret stands in the log: {line}",
            "password, token and secret, in any case, become ***.")  # fmt: skip
    expect(json.loads(line)["password"], "***")


def check_one_line(their):
    """Nobody forges a second line, and letters stay letters"""
    line = their.log_line(
        "login", AT, user='x\n{"level": "info", "event": "login.ok"}', city="Львів"
    )
    expect(line.count("\n"), 0, "json.dumps writes a newline as \\n, unless indent= is given.")
    require("Львів" in line, "Львів was written as \\u…", "ensure_ascii=False")
