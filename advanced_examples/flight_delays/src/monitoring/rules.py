"""Alert rules with shorter windows, so that a test or a drill sees them fire in seconds.

Only how long something must last is changed, never a limit: `[5m]`, `offset 7d` and `for: 5m`
become shorter; `> 0.05` stays. Needs nothing but Python.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).parents[2] / "monitoring" / "alerts.yml"
SECONDS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
# A window, an offset, or how long an alert must hold; nothing else is a time in these rules.
LASTING = re.compile(r"(\[|offset |for: )(\d+)([smhd])\b")


def shortened(rules: str, factor: float, longest: float = 30.0) -> str:
    """The rules (the text of alerts.yml) with every window `factor` times shorter.

    No window is longer than `longest` seconds then: a month would still be hours.
    """

    def shorter(found: re.Match[str]) -> str:
        before, number, unit = found.groups()
        seconds = min(int(number) * SECONDS[unit] / factor, longest)
        return f"{before}{max(1, round(seconds * 1000))}ms"

    return LASTING.sub(shorter, rules)
