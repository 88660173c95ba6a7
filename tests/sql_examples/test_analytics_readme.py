"""The README of the SQL lessons shows each view as it is.

Renew its pictures after a wanted change with:
python3 learn.py test tests/sql_examples/test_analytics_readme.py --renew-transcripts
"""

import re

import psycopg2.extensions as pg
import pytest

from course.settings import ROOT
from tests.sql_examples.test_analytics import CASES

README = ROOT / "sql_examples" / "README.md"
PICTURE = re.compile(r"```sql\n(?P<query>.*?)```\n\n```text\n(?P<picture>.*?)```", re.DOTALL)
WIDTH = 90


def shown(cell: object) -> str:
    """A value in SQL's own words."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return "" if cell is None else str(cell)


def picture(connection: pg.connection, query: str) -> str:
    """The answer as psql shows it: a line of names, a line of dashes, the rows."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
    # Text to the left, all else to the right.
    left = [all(isinstance(row[n], str | None) for row in rows) for n in range(len(names))]
    cells = [names, *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(names))]

    def line(values: list[str]) -> str:
        aligned = [
            value.ljust(width) if to_left else value.rjust(width)
            for value, width, to_left in zip(values, widths, left, strict=True)
        ]
        return " | ".join(aligned).rstrip() + "\n"

    rule = "-+-".join("-" * width for width in widths) + "\n"
    return line(cells[0]) + rule + "".join(map(line, cells[1:]))


def test_the_pictures_are_what_the_views_answer(
    shop: pg.connection, request: pytest.FixtureRequest
) -> None:
    with shop.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")

    def renewed(match: re.Match[str]) -> str:
        return f"```sql\n{match['query']}```\n\n```text\n{picture(shop, match['query'])}```"

    text = README.read_text(encoding="utf-8")
    wanted = PICTURE.sub(renewed, text)
    with shop.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'America/Los_Angeles'")
    if request.config.getoption("renew_transcripts"):
        README.write_text(wanted, encoding="utf-8", newline="\n")
    else:
        assert text == wanted


def test_every_view_has_a_picture_its_users_and_its_plan() -> None:
    text = README.read_text(encoding="utf-8")
    sections = {
        section.partition("`")[0]: section for section in re.split(r"^### `", text, flags=re.M)[1:]
    }
    assert list(sections) == list(CASES)
    for view, section in sections.items():
        assert PICTURE.search(section), view
        assert "**Who uses it:**" in section, view
        assert "**Plan at a million orders:**" in section, view


def test_the_pictures_fit_a_page() -> None:
    pictures = PICTURE.finditer(README.read_text(encoding="utf-8"))
    lines = [line for match in pictures for line in match["picture"].splitlines()]
    assert [line for line in lines if len(line) > WIDTH] == []
