"""Run a .sql file as a lesson: each statement under its comment, with its result as a table.

    python -m course.sqlfile FILE [--step] [--from N] [--fast] [--no-color]

What the file may say, so that it reads well in psql too:

- The comment above a statement is its heading (first line) and explanation. A statement without
  a comment carries on the step before it.
- A comment between two `-- ====` lines opens a chapter.
- A query whose first columns are `claim` and `holds` states claims; a third column, `evidence`,
  is optional. They are shown as ticks.
"""

import re
import select
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from textwrap import dedent, indent
from typing import TYPE_CHECKING

from course import connect, manifest
from course.errors import USAGE, CourseError
from course.lesson import Lesson, run
from course.statements import Statement, split

if TYPE_CHECKING:
    import psycopg2
    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

SHOWN_ROWS = 12
CANCEL_AGAIN = 0.2  # seconds
CLAIMS = re.compile(r"\bclaim\b.*\bholds\b", re.DOTALL)
HELD_LOCKS = """
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()
"""


def run_statement(connection: "Connection", lesson: Lesson, statement: Statement) -> "Cursor":
    """Execute one statement and show its notices; CourseError tells where it failed."""
    import psycopg2

    cursor = connection.cursor()
    try:
        cursor.execute(statement.text)
    except psycopg2.errors.QueryCanceled as error:
        if "user request" in str(error):
            raise KeyboardInterrupt from None
        raise CourseError(_explain(statement, error)) from None
    except psycopg2.Error as error:
        raise CourseError(_explain(statement, error)) from None
    finally:
        _show_notices(connection, lesson)
    return cursor


def _explain(statement: Statement, error: "psycopg2.Error") -> str:
    """Where in the file the server found what wrong."""
    said = error.diag
    before = statement.text[: int(said.statement_position or 1) - 1]
    number = before.count("\n")
    line = statement.text.splitlines()[number].strip()
    hints = [said.message_detail, said.message_hint]
    text = f"line {statement.line + number}: {said.message_primary or str(error).strip()}"
    return "\n  ".join([text, f"in: {line}", *filter(None, hints)])


def _show_notices(connection: "Connection", lesson: Lesson) -> None:
    for notice in connection.notices:
        lesson.console.say("  " + notice.strip(), "yellow")
    connection.notices.clear()


def _show_result(cursor: "Cursor", lesson: Lesson) -> None:
    """The result as ticks, as the lines of a plan, as a table, or as the server's word for it."""
    names = [column.name for column in cursor.description or ()]
    if names[:2] == ["claim", "holds"]:
        for claim, holds, *evidence in cursor:
            lesson.check(claim, holds, *(str(value) for value in evidence[:1] if value is not None))
    elif names == ["QUERY PLAN"]:
        for (line,) in cursor:
            lesson.console.say(f"| {line}")
    elif names:
        lesson.table([tuple(map(_cell, row)) for row in cursor.fetchmany(SHOWN_ROWS)], names)
        if cursor.rowcount > SHOWN_ROWS:
            lesson.console.say(f"… {cursor.rowcount - SHOWN_ROWS:,} more rows")
    else:
        lesson.console.say(f"  {cursor.statusmessage}")


def _cell(value: object) -> object:
    """SQL's own words for truth; every other value as it is."""
    return str(value).lower() if isinstance(value, bool) else value


def steps_of(statements: Iterable[Statement]) -> list[list[Statement]]:
    """The statements in groups: each begins with a heading or a chapter."""
    steps: list[list[Statement]] = []
    for statement in statements:
        if not steps or statement.heading or statement.chapter:
            steps.append([])
        steps[-1].append(statement)
    return steps


def as_step(
    connection: "Connection", lesson: Lesson, statements: list[Statement]
) -> Callable[[], None]:
    """The statements as a function for `lesson.step`, which shows a function's docstring."""
    first, *others = statements

    def execute() -> None:
        _show_result(run_statement(connection, lesson, first), lesson)
        for statement in others:
            if not CLAIMS.search(statement.text):
                lesson.console.say("\n" + indent(statement.text, "    "))
            _show_result(run_statement(connection, lesson, statement), lesson)

    place = f"Line {first.line}:\n{indent(first.text, '    ')}"
    heading = first.heading or first.text.splitlines()[0]
    execute.__doc__ = "\n\n".join(filter(None, (heading, first.explanation, place)))
    return execute


def lesson_of(path: Path, lesson: Lesson) -> None:
    """Run the statements of the file at `path`, outside of any transaction but the file's own."""
    if manifest.by_path(path) is None:
        connect.prepare(["postgres"])
    steps = steps_of(split(path.read_text(encoding="utf-8-sig")))
    with ctrl_c_stops_queries(), closing(open_connection()) as connection:
        try:
            for statements in steps:
                if statements[0].chapter:
                    lesson.console.heading(statements[0].chapter, "━")
                    lesson.console.paragraphs(statements[0].introduction)
                lesson.step(as_step(connection, lesson, statements))
        except BaseException:
            _remove_schema(connection, lesson.name)
            raise


@contextmanager
def ctrl_c_stops_queries() -> Iterator[None]:
    """While the block runs, Ctrl-C cancels the query that this process waits for.

    psycopg2 hears Ctrl-C otherwise only when the server has answered. (No COPY meanwhile.)
    """
    from psycopg2.extensions import get_wait_callback, set_wait_callback

    before = get_wait_callback()
    set_wait_callback(_wait_or_cancel)
    try:
        yield
    finally:
        set_wait_callback(before)


def _wait_or_cancel(connection: "Connection") -> None:
    """psycopg2's `wait_select`, but it asks again: a server forgets what came before the query."""
    from psycopg2.extensions import POLL_OK, POLL_READ

    seconds = None
    while True:
        try:
            state = connection.poll()
            if state == POLL_OK:
                return
            waits = ([connection], []) if state == POLL_READ else ([], [connection])
            if not any(select.select(*waits, [], seconds)):
                connection.cancel()
        except KeyboardInterrupt:
            connection.cancel()
            seconds = CANCEL_AGAIN


def open_connection() -> "Connection":
    """A connection on which BEGIN means what it says and JSON stays text."""
    from psycopg2.extras import register_default_json, register_default_jsonb

    connection = connect.postgres()
    connection.autocommit = True
    register_default_json(connection, loads=str)
    register_default_jsonb(connection, loads=str)
    return connection


def _remove_schema(connection: "Connection", schema: str) -> None:
    """After a failure: remove the lesson's schema, if this run holds the lock that guards it."""
    from psycopg2.sql import SQL, Identifier

    if connection.closed:
        return
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK")
        cursor.execute(HELD_LOCKS)
        if cursor.rowcount:
            cursor.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))


def main(arguments: list[str]) -> None:
    """The command: the file, then the flags of any lesson."""
    path = Path(arguments[0] if arguments else "").resolve()
    if not path.is_file():
        print(dedent(__doc__ or "").split("\n\n")[1].strip(), file=sys.stderr)
        sys.exit(USAGE)
    run(
        partial(lesson_of, path),
        path=path,
        text=manifest.opening(path) or path.name,
        argv=arguments[1:],
    )


if __name__ == "__main__":
    main(sys.argv[1:])
