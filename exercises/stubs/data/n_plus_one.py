"""N+1 questions become one.

`homes` writes a line for each user: name, street, city, country. It reads well, and it asks the
database again for each user: for the address, for its city, for its country. Tell the first query
what you will need, so that at most two statements are sent, however many users there are.
"""

from shop_profile.models import Address, City, User  # noqa: F401
from sqlalchemy import select
from sqlalchemy.orm import Session


def homes(session: Session) -> list[str]:
    """ "Name, street, city, country" of each user, in the order of user_id."""
    # TODO: load what is needed with the users.
    users = session.scalars(select(User).order_by(User.user_id))
    return [
        f"{user.name}, {user.address.street}, "
        f"{user.address.city.name}, {user.address.city.country.name}"
        for user in users
    ]
