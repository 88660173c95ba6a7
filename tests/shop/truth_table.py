"""Planted and found, side by side: runs the queries of docs/DATASET.md on the loaded shop."""

import re
from dataclasses import dataclass
from typing import Any

import psycopg2.extensions as pg

from course.settings import ROOT
from course.shop import truths
from course.shop.truths import Kind

DOCUMENT = ROOT / "docs" / "DATASET.md"
SHOWN_MONTHS = (0, 1, 2, 3, 6, 12, 24, 36)  # of retention; the tests look at all of them
Row = dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """A planted fact with what SQL finds; `tolerance` is in the same unit."""

    name: str
    planted: list[float]
    found: list[float]
    tolerance: float

    def holds(self) -> bool:
        """Whether all figures are found within the tolerance."""
        pairs = zip(self.planted, self.found, strict=True)
        return all(abs(planted - found) <= self.tolerance for planted, found in pairs)

    def line(self) -> str:
        """The row of the Markdown table."""
        planted, found = (" · ".join(f"{n:g}" for n in side) for side in (self.planted, self.found))
        return f"| {self.name} | {planted} | {found} | ±{self.tolerance:g} |"


def queries() -> dict[str, str]:
    """The SQL of the document by the heading above it."""
    sections = DOCUMENT.read_text(encoding="utf-8").split("\n### ")[1:]
    return {
        section.partition("\n")[0]: re.findall(r"```sql\n(.*?)```", section, re.DOTALL)[0]
        for section in sections
    }


def rows(connection: pg.connection, query: str) -> list[Row]:
    """What a query answers, as dicts."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def truth_table(connection: pg.connection) -> list[Truth]:
    """Everything that is planted, found again."""
    found = {name: rows(connection, query) for name, query in queries().items()}
    return [*_seasons(found), *_customers(found), *_baskets(found), *_orders(found), *_site(found)]


def _column(answer: list[Row], name: str) -> list[float]:
    return [float(row[name]) for row in answer]


def _seasons(found: dict[str, list[Row]]) -> list[Truth]:
    growth = round(100 * ((1 + truths.GROWTH_PER_MONTH / 1000) ** 12 - 1), 1)
    return [
        Truth(
            "weekdays, Monday to Sunday, ‰ of the average",
            list(truths.WEEKDAY_INDEX),
            _column(found["Weekly seasonality"], "per_mille"),
            30,
        ),
        Truth(
            "months, January to December, ‰ of the average",
            list(truths.MONTH_INDEX),
            _column(found["Yearly seasonality"], "per_mille"),
            30,
        ),
        Truth("growth in a year, %", [growth], _column(found["Growth"], "per_cent"), 1),
    ]


def _customers(found: dict[str, list[Row]]) -> list[Truth]:
    retention = _column(found["Cohort retention"], "per_mille")
    kinds = {row["kind"]: float(row["per_cent"]) for row in found["Four kinds of customers"]}
    return [
        Truth(
            f"retention in months {', '.join(map(str, SHOWN_MONTHS))} after registration, ‰",
            [truths.RETENTION[month] for month in SHOWN_MONTHS],
            [retention[month] for month in SHOWN_MONTHS],
            10,
        ),
        *(
            Truth(f"customers who are {kind}, %", [share], [kinds[kind]], 1)
            for kind, share in truths.KIND_SHARES.items()
        ),
    ]


def _baskets(found: dict[str, list[Row]]) -> list[Truth]:
    lifts = {
        frozenset((row["first"], row["second"])): float(row["lift"])
        for row in found["Pairs bought together"]
    }
    return [
        *(
            Truth(
                f"lift of {' and '.join(pair)}",
                [round(truths.lift(*counts), 2)],
                [lifts.get(frozenset(pair), 0)],
                0.2,
            )
            for pair, counts in truths.PAIRS.items()
        ),
        Truth(
            f"revenue of the first {truths.A_PRODUCTS} products, %",
            [truths.A_REVENUE_SHARE],
            _column(found["Revenue concentration"], "per_cent"),
            2,
        ),
    ]


def _orders(found: dict[str, list[Row]]) -> list[Truth]:
    statuses = {str(row["channel"]): row for row in found["Cancellations and refunds"]}
    prices = {str(row["category"]): float(row["per_cent"]) for row in found["Price change"]}
    changed = truths.PRICE_CHANGE_CATEGORY
    return [
        Truth(
            "outlier orders",
            [truths.DEFAULT_SCALE // truths.OUTLIER_EVERY],
            _column(found["Outlier orders"], "orders"),
            0,
        ),
        *(
            Truth(
                f"{channel} orders cancelled, refunded, ‰",
                [truths.CANCELLED[channel], truths.REFUNDED[channel]],
                [float(statuses[channel]["cancelled"]), float(statuses[channel]["refunded"])],
                3,
            )
            for channel in truths.CHANNEL_SHARES
        ),
        Truth(f"price change of {changed}, %", [truths.PRICE_CHANGE], [prices[changed]], 0.1),
        Truth(
            "largest price change of the others, %",
            [0],
            [max(change for category, change in prices.items() if category != changed)],
            0,
        ),
    ]


def _site(found: dict[str, list[Row]]) -> list[Truth]:
    (funnel,), (groups,) = found["Funnel"], found["The A/B experiment"]
    return [
        Truth(
            "sessions that reach the cart, then the checkout, %",
            [truths.CART_RATE, truths.CHECKOUT_RATE],
            [float(funnel["cart_per_cent"]), float(funnel["checkout_per_cent"])],
            0.5,
        ),
        Truth(
            "checkouts that end with a purchase, groups A and B, %",
            list(truths.PURCHASE_RATE.values()),
            [float(groups["per_cent_a"]), float(groups["per_cent_b"])],
            0.5,
        ),
    ]


def kinds_found(connection: pg.connection) -> dict[int, Kind]:
    """What the document's rules take each customer for."""
    rules = queries()["Four kinds of customers"].rpartition("SELECT kind,")[0]
    answer = rows(connection, rules + "SELECT customer_id, kind FROM kinds")
    return {int(row["customer_id"]): Kind(str(row["kind"])) for row in answer}


def markdown(table: list[Truth]) -> str:
    """The table as it stands in the document."""
    head = "| truth | planted | found | tolerance |\n|---|---|---|---|\n"
    return head + "".join(truth.line() + "\n" for truth in table)
