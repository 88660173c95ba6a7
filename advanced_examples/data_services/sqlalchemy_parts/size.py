"""The part on what objects cost, and on a thousand times as many."""

from collections.abc import Callable

from shop_profile.models import User
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from course.lesson import Lesson
from course.measure import peak_memory, seconds

AT_ONCE = 100  # rows


def all_objects(session: Session) -> int:
    """The points of all users, from objects."""
    return sum(user.points for user in session.scalars(select(User)).all())


def streamed_objects(session: Session) -> int:
    """The same from objects that come and go."""
    return sum(u.points for u in session.scalars(select(User).execution_options(yield_per=AT_ONCE)))


def rows_only(session: Session) -> int:
    """The same from rows with the one column that is needed."""
    return sum(row.points for row in session.execute(select(User.points)).all())


WAYS: tuple[Callable[[Session], int], ...] = (all_objects, streamed_objects, rows_only)


def objects_or_rows(lesson: Lesson, engine: Engine) -> None:
    """When not to use an ORM.

    An object remembers its session, its old values and what to load later. That is worth it where
    you change things, one user at a time. A report needs columns, not objects: select them, or let
    the database compute. A change of many rows is one UPDATE, a load of many is COPY, and SQL that
    you would have to look up in SQLAlchemy is better written as SQL: `session.execute(text(…))`.

    At a thousand times the size: stream with `yield_per`, and page by `WHERE user_id > :last`, for
    OFFSET reads what it skips. Make lists like `city.addresses` `WriteOnlyMapped`, so that nobody
    loads a million. Migrate in steps: add a column, fill it in batches, demand it last; build
    indexes CONCURRENTLY. One UPDATE of two million rows locks all of them until it commits.
    """
    rows, answers = [], set()
    for way in WAYS:
        with Session(engine) as session:
            answer, megabytes = peak_memory(lambda w=way, s=session: w(s))
        with Session(engine) as session:
            took = seconds(lambda w=way, s=session: w(s))
        answers.add(answer)
        rows.append((way.__name__, took, megabytes))
    lesson.table(rows, ["way", "seconds", "MB"], "Points of 2,000 users", measured=True)
    memory = {name: megabytes for name, _, megabytes in rows}
    lesson.check("all give the same sum", len(answers) == 1)
    least = memory["all_objects"] / 3
    lesson.check("rows take less than a third of the memory", memory["rows_only"] < least)
    lesson.check("so do streamed objects", memory["streamed_objects"] < least)
