"""`docs/BENCHMARKS.md`: what was measured, on what, and how to measure it again."""

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import psutil

from course import stack

PACKAGES = ("psycopg2-binary", "asyncpg", "pandas", "duckdb", "redis", "pika")
OPENING = """# Benchmarks

Ratios to a floor or a peer that was measured in the same run, because seconds differ from machine
to machine and from minute to minute. The seconds beside them are what this machine gave. Measure
again, and write this page anew, with:

    python3 learn.py bench

`python3 learn.py bench --json FILE` writes the ratios as JSON as well, and
`python3 learn.py bench -k loading` measures a part and leaves this page as it is.
"""


def page(results: Iterable[Mapping[str, Any]]) -> str:
    """The whole page; each result has name, ratio, target, better, ok and says."""
    rows = ["| what | ratio | wanted | | in this run |", "|---|---:|---|---|---|"]
    for result in results:
        wanted = f"at {'most' if result['better'] == 'lower' else 'least'} {result['target']:g}"
        verdict = "ok" if result["ok"] else "**missed**"
        rows.append(
            f"| {result['name']} | {result['ratio']:g} | {wanted} | {verdict} | {result['says']} |"
        )
    return "\n".join([OPENING, *rows, "", "## The machine", "", *machine(), ""])


def machine() -> list[str]:
    """The lines that say what it was measured on."""
    memory = psutil.virtual_memory().total / 2**30
    servers = [str(stack.find(name)).split(" at ")[0] for name in ("postgres", "redis")]
    packages = [f"{name} {version(name)}" for name in PACKAGES]
    return [
        f"- {os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()} on "
        f"{platform.machine()}, Python {platform.python_version()}",
        f"- {', '.join(servers)}",
        f"- {', '.join(packages)}",
    ]
