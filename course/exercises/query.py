"""A student's SQL file, as a check sees it: one query that can be run, and be looked at."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

from course import connect
from course.exercises.expectations import Mistake

PATIENCE = "8s"
SESSION = f"SET LOCAL statement_timeout = '{PATIENCE}'; SET LOCAL TIME ZONE 'UTC'"
READ_ONLY = "SET LOCAL transaction_read_only = on"


class Query:
    """The one statement of an SQL file; NotImplementedError while it has none."""

    def __init__(self, file: Path) -> None:
        from course.statements import split

        statements = list(split(file.read_text(encoding="utf-8")))
        if not statements:
            raise NotImplementedError("there is no query in it yet")
        if len(statements) > 1:
            raise Mistake(
                [f"the file holds {len(statements)} statements, the task wants one"],
                "Look for a semicolon too many, or comment out what you tried before.",
            )
        self.text = statements[0].text
        self.columns: list[str] = []

    def rows(self, tables: str = "") -> list[tuple[Any, ...]]:
        """The query's rows, in a transaction that is rolled back.

        `tables` is SQL run before it; a TEMP table hides the shop's table of the same name.
        `columns` has the names afterwards.
        """
        with closing(connect.postgres()) as connection, connection.cursor() as cursor:
            cursor.execute(SESSION)
            if tables:
                cursor.execute(tables)
            cursor.execute(READ_ONLY)
            cursor.execute(self.text)
            if cursor.description is None:
                raise Mistake(["the statement gives no rows"], "The task wants a SELECT.")
            self.columns = [column.name for column in cursor.description]
            return list(cursor.fetchall())

    def plan(self, tables: str = "") -> list[dict[str, Any]]:
        """The steps of the plan as they really ran (EXPLAIN ANALYZE), outermost first."""
        with closing(connect.postgres()) as connection, connection.cursor() as cursor:
            cursor.execute(SESSION)
            if tables:
                cursor.execute(tables)
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {self.text}")
            row = cursor.fetchone()
        assert row is not None
        return list(_steps(row[0][0]["Plan"]))

    def says(self, pattern: str) -> bool:
        """Whether the query, comments left out, matches a regular expression in any case."""
        code = re.sub(r"--[^\n]*|/\*.*?\*/", " ", self.text, flags=re.DOTALL)
        return re.search(pattern, code, re.IGNORECASE) is not None


def _steps(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(step for child in node.get("Plans", []) for step in _steps(child))]
