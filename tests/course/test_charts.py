"""Charts: what stands out, what the diagonal means, and that type can be read from the last row."""

from course import charts


def test_the_last_line_stands_out_and_the_diagonal_has_its_name() -> None:
    lines = {"by hand": ([0, 50], [10, 40]), "fitted": ([0, 100], [0, 90])}
    figure = charts.curves(lines, "Risk", "said, %", "came, %", ideal="as it should be")
    axes = figure.axes[0]
    drawn = {line.get_label(): line for line in axes.lines}
    assert list(drawn) == ["as it should be", "by hand", "fitted"]
    assert drawn["fitted"].get_color() == charts.LOUD
    assert drawn["by hand"].get_color() == charts.QUIET
    assert list(drawn["as it should be"].get_xdata()) == [0, 100]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("said, %", "came, %")
    assert all(text.get_fontsize() >= charts.TEXT for text in axes.get_legend().get_texts())


def test_without_an_ideal_there_is_no_diagonal() -> None:
    figure = charts.curves({"one": ([1, 2], [3, 4])}, "Title", "x", "y")
    assert [line.get_label() for line in figure.axes[0].lines] == ["one"]
