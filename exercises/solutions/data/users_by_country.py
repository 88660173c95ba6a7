"""Users by country: outer joins keep the empty country, the database counts."""

from shop_profile.models import Address, City, Country, User
from sqlalchemy import func, select
from sqlalchemy.orm import Session


def users_by_country(session: Session) -> list[tuple[str, int]]:
    """(country, users), the largest first."""
    users = func.count(User.user_id)
    query = (
        select(Country.name, users)
        .outerjoin(Country.cities)
        .outerjoin(City.addresses)
        .outerjoin(Address.users)
        .group_by(Country.name)
        .order_by(users.desc(), Country.name)
    )
    return [(name, count) for name, count in session.execute(query)]
