"""A log line that a machine can read: one JSON object, no secrets, one line."""

import json
from datetime import UTC, datetime
from typing import Any

SECRET = {"password", "token", "secret"}


def log_line(event: str, at: datetime, level: str = "info", **fields: Any) -> str:
    """One event as one line of JSON, without a newline at its end."""
    shown = {name: "***" if name.lower() in SECRET else value for name, value in fields.items()}
    line = {"at": at.astimezone(UTC).isoformat(), "level": level, "event": event, **shown}
    return json.dumps(line, default=str, ensure_ascii=False)
