"""A label with few values: the route's template, or "other"."""

from prometheus_client import Counter

ROUTES = ("/", "/users/{id}", "/users/{id}/orders", "/products/{id}")


def count_request(counter: Counter, method: str, path: str) -> None:
    """Count one request; `counter` has the labels method and route."""
    counter.labels(method=method, route=route_of(path)).inc()


def route_of(path: str) -> str:
    """The route that `path` belongs to, or "other"."""
    parts = path.partition("?")[0].split("/")
    for route in ROUTES:
        wanted = route.split("/")
        if len(wanted) == len(parts) and all(map(fits, wanted, parts)):
            return route
    return "other"


def fits(wanted: str, part: str) -> bool:
    """Whether a part of a path is what the route wants there."""
    return bool(part) if wanted.startswith("{") else part == wanted
