"""The top products, as a pipeline.

Each document is a customer with what they bought:

    {"_id": 1, "purchases": [{"name": "Tea", "quantity": 2, "status": "completed"}, …]}

Write `top_products`: the names of which most pieces were sold in completed purchases, as
`[{"_id": "Tea", "pieces": 7}, …]`, at most `count` of them, the most pieces first, of equal ones
the name that comes first in the alphabet. One call of `aggregate` does it; no document is added
up in Python.
"""

from typing import Any

from pymongo.collection import Collection


def top_products(customers: Collection[dict[str, Any]], count: int = 3) -> list[dict[str, Any]]:
    """[{"_id": name, "pieces": sum}, …], the most pieces first."""
    raise NotImplementedError("TODO: unwind, match, group, sort, limit")
