"""The Grafana dashboard, as code: rows of panels, each with its queries.

    python -m observability.dashboard       writes grafana/dashboards/shop.json

In review, a change of a panel is a line of Python, not two hundred lines of JSON.
"""

import json
from pathlib import Path
from typing import Any

from course.panels import HEIGHT, WIDTH, Panel, panel_json, rate, share

FILE = Path(__file__).parents[1] / "grafana" / "dashboards" / "shop.json"


def latency(title: str, histogram: str, says: str = "") -> Panel:
    """Half of the requests, and the slowest of a hundred."""
    queries = {share(0.5, histogram): "p50", share(0.99, histogram): "p99"}
    return Panel(title, queries, "s", says=says)


DRIFT = {0.1: "orange", 0.25: "red"}
ROWS: dict[str, list[Panel]] = {
    "Do users get what they want?": [
        Panel("Requests", {rate("shop_intake_requests_total", "status"): "{{status}}"}, "reqps"),
        Panel(
            "Failed requests", {"shop:intake_errors:ratio_5m": "of the last 5 minutes"},
            "percentunit", "stat", {0.001: "orange", 0.0144: "red"},
            "The aim: at most 1 in 1,000 over 30 days",
        ),
        latency("Time to answer", "shop_intake_seconds"),
    ],
    "Do orders get through?": [
        Panel("Settled orders", {rate("shop_orders_processed_total", "outcome"): "{{outcome}}"},
              "ops"),
        Panel("Waiting messages", {"sum by (queue) (shop_queue_messages)": "{{queue}}"}),
        latency("From the door to the database", "shop_order_delay_seconds",
                "Clocks of two machines must agree for this one"),
        Panel("Work on an order", {share(0.99, "shop_order_seconds"): "p99"}, "s"),
        Panel("Services the worker has",
              {"min by (service) (shop_worker_connected)": "{{service}}"}, "bool_yes_no", "stat",
              {0.0: "red", 1.0: "green"}),
        Panel("Targets that answer", {"up": "{{job}}"}, "bool_yes_no", "stat",
              {0.0: "red", 1.0: "green"}),
    ],
    "Are the data what they were?": [
        Panel("Drift (PSI)", {"shop_data_psi": "{{column}}",
                              "shop_data_psi_noise": "{{column}}: chance"}, limits=DRIFT),
        Panel("Drift (KS)", {"shop_data_ks": "{{column}}"}, limits={0.1: "orange"}),
        Panel("Nulls", {"shop_data_null_ratio": "{{column}}",
                        "shop_data_null_ratio_limit": "{{column}}: limit"}, "percentunit"),
        Panel("Rows", {"shop_data_rows": "{{dataset}}", "shop_data_rows_expected": "expected"}),
        Panel("Age of the newest row",
              {"time() - shop_data_newest_timestamp_seconds": "{{dataset}}"}, "s", "stat",
              {86_400.0: "red"}),
        Panel("Last check", {"time() - shop_data_checked_timestamp_seconds": "{{dataset}}"}, "s",
              "stat", {3_600.0: "orange"}),
    ],
}  # fmt: skip


def queries() -> list[str]:
    """Every expression of the dashboard."""
    return [query for panels in ROWS.values() for panel in panels for query in panel.queries]


def dashboard() -> dict[str, Any]:
    """The whole dashboard in Grafana's model: three panels a line under each row's question."""
    found: list[dict[str, Any]] = []
    y = 0
    for title, panels in ROWS.items():
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        found.append({"id": len(found) + 1, "type": "row", "title": title, "gridPos": place,
                      "collapsed": False, "panels": []})  # fmt: skip
        y += 1
        for i, panel in enumerate(panels):
            x = i % 3 * (WIDTH // 3)
            found.append(panel_json(panel, len(found) + 1, x, y + i // 3 * HEIGHT, WIDTH // 3))
        y += -(-len(panels) // 3) * HEIGHT
    return {
        "uid": "shop-pipeline", "title": "Shop: the order pipeline", "tags": ["shop"],
        "schemaVersion": 41, "editable": False, "refresh": "5s", "timezone": "browser",
        "time": {"from": "now-15m", "to": "now"}, "templating": {"list": []},
        "annotations": {"list": []}, "panels": found,
    }  # fmt: skip


def text() -> str:
    """The file that Grafana reads."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    print(f"{len(queries())} queries written to {FILE.name}")
