"""The top products: unwind, match, group, sort, limit."""

from typing import Any

from pymongo.collection import Collection


def top_products(customers: Collection[dict[str, Any]], count: int = 3) -> list[dict[str, Any]]:
    """[{"_id": name, "pieces": sum}, …], the most pieces first."""
    pipeline: list[dict[str, Any]] = [
        {"$unwind": "$purchases"},
        {"$match": {"purchases.status": "completed"}},
        {"$group": {"_id": "$purchases.name", "pieces": {"$sum": "$purchases.quantity"}}},
        {"$sort": {"pieces": -1, "_id": 1}},
        {"$limit": count},
    ]
    return list(customers.aggregate(pipeline))
