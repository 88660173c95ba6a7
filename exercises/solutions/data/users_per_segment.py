"""Users per segment: begin with zeros, and put what was counted over them."""

from shop_profile.models import User
from sqlalchemy import func, select
from sqlalchemy.orm import Session

SEGMENTS = ("dormant", "active", "vip", "at risk")


def users_per_segment(session: Session) -> dict[str, int]:
    """The number of users in each of SEGMENTS."""
    query = (
        select(User.segment, func.count().label("users"))
        .where(User.segment.is_not(None))
        .group_by(User.segment)
    )
    return dict.fromkeys(SEGMENTS, 0) | {row.segment: row.users for row in session.execute(query)}
