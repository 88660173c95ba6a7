"""Users by country, with the ORM.

The models of the lesson: Country -> cities -> addresses -> users. Write `users_by_country`: how
many users live in each country, as a list of (country, users), the largest first, countries with
the same number by name. A country where nobody lives stands there with 0. The database does the
counting: one statement, and no user travels.
"""

from shop_profile.models import Address, City, Country, User  # noqa: F401
from sqlalchemy import func, select  # noqa: F401
from sqlalchemy.orm import Session


def users_by_country(session: Session) -> list[tuple[str, int]]:
    """(country, users), the largest first."""
    raise NotImplementedError("TODO: join, group, count")
