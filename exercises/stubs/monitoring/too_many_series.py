"""A label that never ends.

Each combination of label values is a time series of its own, kept for ever. `count_request` puts
the whole path into a label, so each user makes a new series, and each robot that tries
`/wp-admin.php` makes another one. Repair it: the label is the route's template ("/users/{id}"),
and "other" for every path that belongs to no route. A part in braces stands for one part of a
path, not for several. What follows a question mark doesn't belong to the path.
"""

from prometheus_client import Counter

ROUTES = ("/", "/users/{id}", "/users/{id}/orders", "/products/{id}")


def count_request(counter: Counter, method: str, path: str) -> None:
    """Count one request; `counter` has the labels method and route."""
    # TODO: which values can `route` have?
    counter.labels(method=method, route=path).inc()
