"""The part on the lost update."""

from concurrent.futures import ThreadPoolExecutor

from shop_profile.models import User
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.orm.exc import StaleDataError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

from course.lesson import Lesson

THREADS, ADDITIONS = 4, 40


class Careless(DeclarativeBase):
    """A second mapping of tables that are there already."""


class CarelessUser(Careless):
    """The users' table, mapped without `version_id_col`."""

    __table__ = User.__table__


def points_of(engine: Engine, user_id: int = 1) -> int:
    """The points of a user, as the database has them now."""
    with Session(engine) as session:
        return session.scalars(select(User.points).where(User.user_id == user_id)).one()


def two_edits(engine: Engine, model: type[User] | type[CarelessUser]) -> None:
    """Anna and Ivan read user 1; then Anna adds 10 points to what she read, and Ivan 5."""
    with Session(engine) as anna, Session(engine) as ivan:
        hers, his = anna.get_one(model, 1), ivan.get_one(model, 1)
        hers.points += 10
        anna.commit()
        his.points += 5
        ivan.commit()


@retry(
    retry=retry_if_exception_type(StaleDataError),
    wait=wait_random(0, 0.02),
    stop=stop_after_attempt(50),
    reraise=True,
)
def add_points(engine: Engine, user_id: int, points: int) -> None:
    """Read, add, write; from the beginning again when somebody else was faster."""
    with Session(engine) as session, session.begin():
        session.get_one(User, user_id).points += points


def add_points_in_turn(engine: Engine, user_id: int, points: int) -> None:
    """Lock the row, then read, add, write: who comes later waits (pessimistic locking)."""
    with Session(engine) as session, session.begin():
        session.get_one(User, user_id, with_for_update=True).points += points


def locking(lesson: Lesson, engine: Engine) -> None:
    """A lost update, and optimistic locking.

    Two people read a row and both write it: the second overwrites the first, and nobody sees an
    error. `version_id_col` puts the version that was read into the UPDATE, as you saw in step 2:
    WHERE users.version = … When another was faster, no row matches and SQLAlchemy raises
    StaleDataError: read again and repeat. A bulk UPDATE adds to what the database has and loses
    nothing, but it does not count the version: do that yourself, or others overwrite you. When
    many want one row, most attempts are in vain: let them queue with `with_for_update()`.
    """
    before = points_of(engine)
    two_edits(engine, CarelessUser)
    lesson.check("without a version Anna's 10 are lost", points_of(engine) == before + 5)
    with lesson.expected_error(StaleDataError):
        two_edits(engine, User)
    lesson.check("with it Anna's 10 stay, Ivan is refused", points_of(engine) == before + 15)
    expected = before + 15
    for add, how in ((add_points, "repeated when refused"), (add_points_in_turn, "in turn")):
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda _, add=add: add(engine, 1, 1), range(ADDITIONS)))
        expected += ADDITIONS
        claim = f"{ADDITIONS} times 1 point from {THREADS} threads, {how}: all there"
        lesson.check(claim, points_of(engine) == expected)
    with Session(engine) as reader, Session(engine) as writer, writer.begin():
        seen = reader.get_one(User, 1)
        more = {"points": User.points + 5, "version": User.version + 1}
        writer.execute(update(User).where(User.user_id == 1).values(more))
        writer.commit()
        seen.points += 1
        with lesson.expected_error(StaleDataError):
            reader.commit()
    lesson.check("a bulk UPDATE that counts is seen", points_of(engine) == expected + 5)
