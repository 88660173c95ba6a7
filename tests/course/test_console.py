"""Tables and text as they are printed: at 80 columns, without colour, in plain spelling."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.console import Console, as_grid, cell_text, text_table


def lines_of(rows: list[dict], width: int = 80) -> list[str]:
    names, grid = as_grid(rows, None)
    return list(text_table(names, grid, width))


def test_numbers_stand_to_the_right_and_null_is_named() -> None:
    rows = [{"city": "Kyiv", "n": 5, "eur": Decimal("1.50")}, {"city": None, "n": 12, "eur": None}]
    assert lines_of(rows) == [
        "city   n   eur",
        "────  ──  ────",
        "Kyiv   5  1.50",
        "NULL  12  NULL",
    ]


def test_long_cells_wrap_within_the_width() -> None:
    lines = lines_of([{"id": 1, "text": "word " * 60}])
    assert max(map(len, lines)) <= 80
    assert len(lines) > 4


@given(
    st.lists(
        st.fixed_dictionaries(
            {name: st.one_of(st.none(), st.integers(), st.text(max_size=200)) for name in "abcd"}
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(40, 120),
)
def test_no_table_is_wider_than_the_console(rows: list[dict], width: int) -> None:
    assert max(map(len, lines_of(rows, width))) <= width


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="needs columns"):
        as_grid([(1, 2)], None)
    with pytest.raises(ValueError, match="another number of cells"):
        as_grid([(1, 2)], ["a"])


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table([], ["a"])
    assert "(no rows)" in capsys.readouterr().out


def test_floats_are_short() -> None:
    assert [cell_text(x) for x in (0.0, 1234.5, 0.00012345)] == ["0.00", "1,234.50", "0.000123"]


def test_paragraphs_keep_lists_and_wrap_prose(capsys: pytest.CaptureFixture[str]) -> None:
    Console().paragraphs("prose " * 30 + "\n\n- one\n- two")
    out = capsys.readouterr().out
    assert "\n\n- one\n- two\n" in out
    assert max(map(len, out.splitlines())) <= 80


def test_progress_gives_every_item_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(Console().progress([1, 2, 3], 3, "rows")) == [1, 2, 3]
    assert capsys.readouterr().out == "rows: 3 of 3\n"
