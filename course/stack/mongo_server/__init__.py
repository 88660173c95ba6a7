"""The embedded MongoDB: a small server that speaks MongoDB's wire protocol over mongomock.

No Python package carries `mongod`. So that every lesson can use plain `pymongo` and a URL, this
package listens on TCP, understands the protocol (`wire`), takes commands (`commands`, `reads`,
`writes`, `catalogue`) and lets mongomock answer them (`storage`, `aggregation`).

    python -m course.stack.mongo_server --port 27017

What it is for: learning with a few thousand documents, from several processes at once.
What it is not: a database. **Data lives in memory only and is gone when the server stops.**
There are no transactions, replicas, query plans or users. `queries` and `updates` list what
mongomock answers as MongoDB does; everything else is refused, with a code and a sentence that says
who refuses.

Where its answers still differ from MongoDB's, since mongomock works on Python's values:

- `True` equals 1 and `False` equals 0 in filters and as `_id`; embedded documents are equal
  whatever the order of their fields.
- An aggregation operator on a missing field often gives a missing field, where MongoDB gives null,
  and a field that `$addFields` sets to a missing one stays as it was.
- Where a path leads into an array without documents, `$not` doesn't match; a projection of such a
  path drops the plain values from the array.
- Arrays are sorted by their first element, not by their smallest or largest.
- Only `_id` is looked up; every other filter goes through all documents, indexed or not.
"""
