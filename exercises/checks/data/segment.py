"""Every rule, on both sides of its edge."""

from course.exercises import expect, expect_error


def check_edges(their):
    """Both sides of every edge"""
    cases = {
        (240, 20, 0, 900): "dormant",
        (239, 20, 3, 900): "at risk",
        (91, 20, 20, 900): "at risk",
        (90, 20, 14, 900): "vip",
        (90, 20, 13, 900): "active",
        (0, 1, 1, 0): "active",
    }
    for case, wanted in cases.items():
        expect(their.segment(*case), wanted, f"segment{case}")


def check_never(their):
    """Who never ordered gets time"""
    expect(their.segment(None, 0, 0, 86), "active", "Registered 86 days ago, no order yet.")
    expect(their.segment(None, 0, 0, 87), "dormant", "Registered 87 days ago, still no order.")


def check_wrong(their):
    """Impossible numbers are refused"""
    for case in ((-1, 3, 1, 900), (5, -3, 1, 900), (5, 3, -1, 900), (5, 3, 1, -900)):
        with expect_error(ValueError, f"segment{case}: a negative number"):
            their.segment(*case)
