"""Exercises: a student's copy, a check in a process of its own, hints one at a time.

Checks import from here what they say things with: `expect`, `require`, `expect_error`, `Counting`,
`count_calls`.
"""

from course.exercises.expectations import (
    Counting,
    Mistake,
    count_calls,
    expect,
    expect_error,
    require,
)

__all__ = ["Counting", "Mistake", "count_calls", "expect", "expect_error", "require"]
