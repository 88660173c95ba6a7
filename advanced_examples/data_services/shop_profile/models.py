"""The shop's people as SQLAlchemy models: Country → City → Address → User.

No schema stands in the metadata: the connection's search_path decides, so lessons, the API and the
tests each keep tables of their own (see `shop_profile.database`).
"""

from datetime import date
from typing import Annotated

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Identity,
    MetaData,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, validates

# A migration drops a constraint by its name, so every one gets a name by rule: PostgreSQL's own.
NAMES = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "ix": "%(table_name)s_%(column_0_name)s_idx",
}
GOLD = 200  # points

Key = Annotated[int, mapped_column(Identity(), primary_key=True)]


class Base(DeclarativeBase):
    """All tables of the profile; text has no length limit."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {str: Text}  # noqa: RUF012 (declared so by SQLAlchemy)


class Country(Base):
    """A country with its cities."""

    __tablename__ = "countries"

    country_id: Mapped[Key]
    name: Mapped[str] = mapped_column(unique=True)
    cities: Mapped[list["City"]] = relationship(back_populates="country", passive_deletes="all")


class City(Base):
    """A city; its name is unique within its country."""

    __tablename__ = "cities"
    __table_args__ = (UniqueConstraint("country_id", "name"),)

    city_id: Mapped[Key]
    name: Mapped[str]
    country_id: Mapped[int] = mapped_column(ForeignKey("countries.country_id"))
    country: Mapped[Country] = relationship(back_populates="cities")
    addresses: Mapped[list["Address"]] = relationship(back_populates="city", passive_deletes="all")


class Address(Base):
    """A house; several users may live there."""

    __tablename__ = "addresses"

    address_id: Mapped[Key]
    street: Mapped[str]
    postcode: Mapped[str]
    city_id: Mapped[int] = mapped_column(ForeignKey("cities.city_id"), index=True)
    city: Mapped[City] = relationship(back_populates="addresses")
    users: Mapped[list["User"]] = relationship(back_populates="address", passive_deletes="all")


class User(Base):
    """A customer of the shop; user_id is the customer_id.

    `segment` is one of the four kinds of docs/DATASET.md, None until it is known. `points` are one
    for every 10 euros. `version` counts the changes: writing from an old one is a StaleDataError.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("segment IN ('dormant', 'active', 'vip', 'at risk')", name="segment"),
        CheckConstraint("points >= 0", name="points"),
    )

    user_id: Mapped[Key]
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    registered_on: Mapped[date]
    segment: Mapped[str | None]
    points: Mapped[int] = mapped_column(default=0, server_default="0")
    version: Mapped[int] = mapped_column(server_default="1")
    address_id: Mapped[int] = mapped_column(ForeignKey("addresses.address_id"), index=True)
    address: Mapped[Address] = relationship(back_populates="users")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 (declared so by SQLAlchemy)

    @validates("email")
    def _normal_email(self, _name: str, email: str) -> str:
        """Email in one spelling; ValueError without an @."""
        if "@" not in email:
            raise ValueError(f"an email needs an @: {email!r}")
        return email.strip().lower()

    @hybrid_property
    def is_gold(self) -> bool:
        """Has collected enough points."""
        return self.points >= GOLD

    @hybrid_property
    def first_name(self) -> str:
        """The name up to its first space."""
        return self.name.split(" ")[0]

    @first_name.inplace.expression
    @classmethod
    def _first_name_in_sql(cls) -> ColumnElement[str]:
        return func.split_part(cls.name, " ", 1)
