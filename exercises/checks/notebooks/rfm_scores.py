"""Ten customers, of whom seven ordered once."""

import pandas as pd

from course.exercises import expect

CUSTOMERS = pd.DataFrame(
    {
        "recency": [5, 300, 20, 40, 60, 80, 100, 150, 200, 250],
        "frequency": [9, 1, 8, 3, 1, 1, 1, 1, 1, 1],
        "monetary": [900.0, 10.0, 800.0, 300.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0],
    },
    index=list("abcdefghij"),
)


def scores(their):
    return their.rfm_scores(CUSTOMERS.copy())


def check_shape(their):
    """Columns r, f, m, and the index of the customers"""
    frame = scores(their)
    expect(list(frame.columns), ["r", "f", "m"])
    expect(list(frame.index), list("abcdefghij"))


def check_recency(their):
    """Who ordered last has the best r"""
    expect(
        [int(n) for n in scores(their)["r"]],
        [5, 1, 5, 4, 4, 3, 3, 2, 2, 1],
        "A small recency is good: 5 for the smallest.",
    )


def check_monetary(their):
    """Two in each group of m"""
    expect([int(n) for n in scores(their)["m"]], [5, 1, 5, 4, 1, 2, 2, 3, 3, 4])


def check_equal(their):
    """Equal frequencies are divided, too"""
    expect(
        [int(n) for n in scores(their)["f"]],
        [5, 1, 5, 4, 1, 2, 2, 3, 3, 4],
        'rank(method="first") makes the values different before they are cut.',
    )
