"""Lesson db/06 as a script: apart from its other tests, which hold the lesson's schema."""

from collections.abc import Callable
from contextlib import closing

import pytest

from course import connect
from tests.support import run_python

PATH = "python_db/06_pandas_and_sql.py"


def test_it_takes_the_number_of_rows_and_removes_its_schema(service: Callable[[str], str]) -> None:
    service("postgres")
    result = run_python(PATH, "--fast", "--rows", "3000")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Loading 3,000 rows" in result.stdout
    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace('db_06') IS NULL")
        assert cursor.fetchone() == (True,)


@pytest.mark.parametrize("rows", ["0", "-1", "many"])
def test_a_wrong_number_of_rows_is_refused(rows: str) -> None:
    assert run_python(PATH, "--rows", rows).returncode == 2
