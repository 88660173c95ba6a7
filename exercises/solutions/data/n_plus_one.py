"""N+1 questions become one: joinedload brings along what will be used."""

from shop_profile.models import Address, City, User
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload


def homes(session: Session) -> list[str]:
    """ "Name, street, city, country" of each user, in the order of user_id."""
    whole = joinedload(User.address).joinedload(Address.city).joinedload(City.country)
    users = session.scalars(select(User).options(whole).order_by(User.user_id))
    return [
        f"{user.name}, {user.address.street}, "
        f"{user.address.city.name}, {user.address.city.country.name}"
        for user in users
    ]
