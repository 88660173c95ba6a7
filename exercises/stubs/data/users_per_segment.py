"""Users per segment, as a dictionary.

`User.segment` is one of "dormant", "active", "vip", "at risk", or None until it is known. Write
`users_per_segment`: a dictionary of all four, also of those with 0 users. Whose segment isn't known
is not counted. The database counts, in one statement.
"""

from shop_profile.models import User  # noqa: F401
from sqlalchemy import func, select  # noqa: F401
from sqlalchemy.orm import Session

SEGMENTS = ("dormant", "active", "vip", "at risk")


def users_per_segment(session: Session) -> dict[str, int]:
    """The number of users in each of SEGMENTS."""
    raise NotImplementedError("TODO: group by segment")
