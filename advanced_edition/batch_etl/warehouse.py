"""The warehouse option: the orders of a run go on into DuckDB, where analysts ask.

DuckDB stores columns, so a sum over a million rows reads only what it sums. It wants large loads:
the run's rows go through a file, in one transaction. Here is no key to catch a twin: the target
has deduplicated already, and what a run brings replaces the same orders of earlier runs.
"""

import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from batch_etl.schema import COLUMNS
from batch_etl.target import RunError, Target

if TYPE_CHECKING:
    import duckdb

TYPES = (
    "BIGINT", "INTEGER", "DATE", "VARCHAR", "VARCHAR", "VARCHAR", "INTEGER", "BIGINT", "VARCHAR",
    "VARCHAR", "BIGINT", "INTEGER",
)  # fmt: skip
TABLE = ", ".join(f"{n} {t}" for n, t in zip((*COLUMNS, "run"), TYPES, strict=True))
REVENUE = """
    SELECT region, category, sum(cents_eur) AS cents FROM orders
    GROUP BY region, category ORDER BY region, category
"""


def export(target: Target, run: str, file: Path) -> None:
    """Write the orders that `run` loaded or corrected as CSV. Raises RunError for no such run."""
    found = target.connection.execute("SELECT run FROM runs WHERE name = ?", [run]).fetchone()
    if not found:
        raise RunError(f"There is no run {run!r} to send to the warehouse.")
    names = ", ".join((*COLUMNS, "run"))
    rows = target.connection.execute(f"SELECT {names} FROM orders WHERE run = ?", found)
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(rows)


def publish(target: Target, run: str, warehouse: "duckdb.DuckDBPyConnection") -> int:
    """Bring the orders of `run` into `warehouse`; how many. The same run again changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "orders.csv"
        export(target, run, file)
        warehouse.execute("BEGIN")
        try:
            warehouse.execute(f"CREATE TABLE IF NOT EXISTS orders ({TABLE})")
            warehouse.execute(f"CREATE OR REPLACE TEMP TABLE staged ({TABLE})")
            warehouse.execute(f"COPY staged FROM '{file}' (HEADER false)")
            warehouse.execute("DELETE FROM orders WHERE order_id IN (SELECT order_id FROM staged)")
            warehouse.execute("INSERT INTO orders SELECT * FROM staged")
            (count,) = warehouse.execute("SELECT count(*) FROM staged").fetchone() or (0,)
            warehouse.execute("DROP TABLE staged")
            warehouse.execute("COMMIT")
        except BaseException:
            warehouse.execute("ROLLBACK")
            raise
    return count
