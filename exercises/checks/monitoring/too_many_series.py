"""A thousand users and a hundred robots make a handful of series."""

from prometheus_client import CollectorRegistry, Counter

from course.exercises import expect, require


def counted(their, *requests: tuple[str, str]) -> dict[str, float]:
    """The counter's values by "METHOD route" after those requests."""
    registry = CollectorRegistry()
    counter = Counter("requests", "Requests.", ["method", "route"], registry=registry)
    for method, path in requests:
        their.count_request(counter, method, path)
    (family,) = registry.collect()
    samples = [s for s in family.samples if s.name == "requests_total"]
    return {f"{s.labels['method']} {s.labels['route']}": s.value for s in samples}


def check_users(their):
    """A thousand users are one series"""
    series = counted(their, *[("GET", f"/users/{n}") for n in range(1000)])
    require(
        len(series) == 1,
        f"1,000 users made {len(series):,} series",
        "The label should say which route it was, not which user.",
    )
    expect(series, {"GET /users/{id}": 1000.0})


def check_routes(their):
    """Each route keeps its own count"""
    series = counted(
        their, ("GET", "/"), ("GET", "/users/7/orders"), ("POST", "/users/7/orders"),
        ("GET", "/products/tea-500g"),
    )  # fmt: skip
    expect(
        series,
        {
            "GET /": 1.0,
            "GET /users/{id}/orders": 1.0,
            "POST /users/{id}/orders": 1.0,
            "GET /products/{id}": 1.0,
        },
    )


def check_robots(their):
    """What is no route is "other\""""
    paths = ["/wp-admin.php", "/users", "/users/", "/users/7/orders/9", "/users/7/cards", ""]
    expect(
        counted(their, *[("GET", path) for path in paths]),
        {"GET other": float(len(paths))},
        "{id} stands for exactly one part of the path, and not for an empty one.",
    )


def check_query(their):
    """The question behind the path makes no series"""
    series = counted(their, ("GET", "/users/7?page=2"), ("GET", "/users/8?page=3"))
    expect(series, {"GET /users/{id}": 2.0}, "Cut the path at the question mark.")
