"""Growing, starting anew, standing still."""

from course.exercises import expect


def check_growing(their):
    """A counter that only grows"""
    expect(their.increase([10, 15, 22]), 12, "What was there before the first sample isn't new.")


def check_new_start(their):
    """A new start loses nothing that was counted"""
    expect(their.increase([10, 15, 3, 7]), 12, "After the new start, 3 were counted, then 4.")
    expect(their.increase([100, 1, 1, 0, 2]), 3, "Two new starts: 1, 0, 0 and 2.")


def check_little(their):
    """Nothing, or a single sample: nothing was counted"""
    expect(their.increase([]), 0)
    expect(their.increase([42]), 0)
    expect(their.increase([5, 5, 5]), 0)


def check_stream(their):
    """Any iterable will do, also one that can be read once"""
    expect(their.increase(n for n in (1, 4, 2)), 5, "A generator has no length and no [0].")
