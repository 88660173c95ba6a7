"""The products that may be recommended, in memory: 120 of them, read once at the start."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812
from pydantic import TypeAdapter

from recommendations_api.answers import Product

ON_SALE = """
    SELECT product_id, name, category, price FROM public.products
    WHERE discontinued_on IS NULL ORDER BY product_id
"""
PRODUCTS = TypeAdapter(list[Product])


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Products on sale, by id. A nightly job writes the file; the service only reads it.

    So the service starts when PostgreSQL is down, and shows no price newer than its file. With a
    million products this would be a look-up in Redis instead.
    """

    products: dict[int, Product]

    @classmethod
    def read(cls, connection: Connection) -> "Catalogue":
        """The shop's products that are on sale."""
        with connection.cursor() as cursor:
            cursor.execute(ON_SALE)
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return cls({row["product_id"]: Product(**row) for row in rows})

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_bytes(PRODUCTS.dump_json(list(self.products.values())))

    @classmethod
    def load(cls, path: Path) -> "Catalogue":
        """Read what `save` wrote; OSError or ValueError when there is no such file."""
        products = PRODUCTS.validate_json(path.read_bytes())
        return cls({product.product_id: product for product in products})

    def on_sale(self, product_ids: Iterable[int]) -> list[Product]:
        """Those of the products that are on sale, in the given order."""
        return [self.products[number] for number in product_ids if number in self.products]
