"""A log line that a machine can read.

"Order 17 of ann@example.com failed!!" can be read by people only. Write `log_line`: one line of
JSON for one event.

    log_line("order.failed", at, level="error", order_id=17, total=Decimal("9.90"))
    {"at": "2025-10-26T12:00:00+00:00", "level": "error", "event": "order.failed", "order_id": 17, …

- at (in UTC, isoformat), level and event stand first, then the fields in the order given;
- what JSON doesn't know (Decimal, dates, exceptions …) is written as str(value);
- fields called password, token or secret, in any case, have the value "***";
- whatever stands in a value, it is one line: nobody may forge a second line with a newline;
- letters stay letters: "Львів", not "\\u041b…".
"""

from datetime import datetime
from typing import Any


def log_line(event: str, at: datetime, level: str = "info", **fields: Any) -> str:
    """One event as one line of JSON, without a newline at its end."""
    raise NotImplementedError("TODO: one JSON object in one line")
