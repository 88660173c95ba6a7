"""A segmenting function.

Every customer belongs to one of four segments, by a rule that anybody in the shop can repeat:

- never ordered: "active" for those who registered at most 86 days ago (give them time), "dormant"
  for the others;
- the last order 240 days ago or more: "dormant";
- more than 90 days ago: "at risk";
- 90 days or fewer: "vip" with 14 orders or more in the last year, otherwise "active".

`recency` is None for those who never ordered (orders is 0). Negative numbers are a ValueError: then
something is wrong with the data, and a segment would hide it.
"""


def segment(recency: int | None, orders: int, last_year: int, registered_ago: int) -> str:
    """The segment: days since the last order, orders ever, in the last year, days registered."""
    raise NotImplementedError("TODO: the rule, in its order")
