"""The same questions to PostgreSQL and to MongoDB, clause beside stage.

PostgreSQL answers from a table or view `purchases (customer_id, order_id, product_id, name,
category, quantity, price, at, status)` and from the shop's `products`. MongoDB answers from the
documents of `shop_profile.documents` and from products that carry their attributes as fields.
"""

from collections.abc import Sequence
from typing import Any

Stage = dict[str, Any]
# A clause and its stage, in the order in which things happen. SQL is written in another one.
Pairs = Sequence[tuple[str, Stage]]
WRITTEN = ("SELECT", "FROM", "JOIN", "WHERE", "GROUP", "ORDER", "LIMIT")

BY_CATEGORY: Pairs = (
    ("FROM purchases", {"$unwind": "$purchases"}),
    ("WHERE status = 'completed'", {"$match": {"purchases.status": "completed"}}),
    ("GROUP BY category",
     {"$group": {"_id": "$purchases.category",
                 "count": {"$sum": 1},
                 "total": {"$sum": "$purchases.price"}}}),
    ("SELECT category, count(*), sum(price) AS total",
     {"$project": {"_id": 0, "category": "$_id", "count": 1, "total": 1}}),
    ("ORDER BY total DESC, category", {"$sort": {"total": -1, "category": 1}}),
)  # fmt: skip


def top_products(products: str, count: int = 5) -> Pairs:
    """The best sellers by pieces, with their names from the collection named `products`.

    The pipeline cuts before it joins, SQL after: the same as long as each purchase has its product.
    """
    return (
        ("FROM purchases", {"$unwind": "$purchases"}),
        ("WHERE status = 'completed'", {"$match": {"purchases.status": "completed"}}),
        ("GROUP BY product_id, products.name",
         {"$group": {"_id": "$purchases.product_id", "pieces": {"$sum": "$purchases.quantity"}}}),
        ("ORDER BY pieces DESC, product_id", {"$sort": {"pieces": -1, "_id": 1}}),
        (f"LIMIT {count}", {"$limit": count}),
        ("JOIN products USING (product_id)",
         {"$lookup": {"from": products, "localField": "_id", "foreignField": "_id",
                      "as": "product"}}),
        ("", {"$unwind": "$product"}),
        ("SELECT product_id, products.name, sum(quantity) AS pieces",
         {"$project": {"_id": 0, "product_id": "$_id", "name": "$product.name", "pieces": 1}}),
    )  # fmt: skip


# What stands beside a list of products in a shop: a query each, or one pipeline with $facet.
PANELS: dict[str, tuple[str, list[Stage]]] = {
    "category": (
        "SELECT category AS _id, count(*) FROM products GROUP BY category ORDER BY category",
        [{"$group": {"_id": "$category", "count": {"$sum": 1}}}, {"$sort": {"_id": 1}}],
    ),
    "price": (
        """SELECT (ARRAY[0, 25, 100])[width_bucket(price, ARRAY[0, 25, 100]::numeric[])] AS _id,
                  count(*), max(price) AS dearest
           FROM products GROUP BY 1 ORDER BY 1""",
        [{"$bucket": {"groupBy": "$price",
                      "boundaries": [0, 25, 100, 1_000_000],
                      "output": {"count": {"$sum": 1}, "dearest": {"$max": "$price"}}}}],
    ),
    "tag": (
        """SELECT tag AS _id, count(*)
           FROM products, jsonb_array_elements_text(attributes -> 'tags') AS tag
           GROUP BY tag ORDER BY count DESC, tag LIMIT 3""",
        [{"$unwind": "$tags"},
         {"$group": {"_id": "$tags", "count": {"$sum": 1}}},
         {"$sort": {"count": -1, "_id": 1}},
         {"$limit": 3}],
    ),
}  # fmt: skip


def sql_of(pairs: Pairs) -> str:
    """The clauses as one query, in the order in which SQL wants them written."""
    clauses = [clause for clause, _ in pairs if clause]
    return "\n".join(sorted(clauses, key=lambda clause: WRITTEN.index(clause.split()[0])))


def pipeline_of(pairs: Pairs) -> list[Stage]:
    """The stages as one pipeline."""
    return [stage for _, stage in pairs]
