"""Grafana's panels as Python: a panel is a title with its queries, and becomes Grafana's JSON.

Grafana's model:
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from dataclasses import dataclass, field
from typing import Any

WIDTH, HEIGHT = 24, 8  # Grafana's grid
DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
WINDOW = "$__rate_interval"  # Grafana puts at least four scrape intervals here


@dataclass(frozen=True)
class Panel:
    """A panel: `queries` maps a PromQL expression to its legend; `limits` colour a value."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    limits: dict[float, str] = field(default_factory=dict)
    says: str = ""


def rate(metric: str, by: str) -> str:
    """Events a second, added up over everything but the label `by`."""
    return f"sum by ({by}) (rate({metric}[{WINDOW}]))"


def share(quantile: float, histogram: str) -> str:
    """A quantile of a histogram over all its instances."""
    return f"histogram_quantile({quantile}, sum by (le) (rate({histogram}_bucket[{WINDOW}])))"


def panel_json(panel: Panel, number: int, x: int, y: int, width: int) -> dict[str, Any]:
    """A panel in Grafana's model."""
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    steps += [{"color": colour, "value": limit} for limit, colour in panel.limits.items()]
    lines = {"custom": {"thresholdsStyle": {"mode": "line"}}} if panel.limits else {}
    targets = [
        {
            "refId": chr(ord("A") + i),
            "datasource": DATASOURCE,
            "expr": query,
            "legendFormat": legend,
        }
        for i, (query, legend) in enumerate(panel.queries.items())
    ]
    return {
        "id": number, "type": panel.kind, "title": panel.title, "description": panel.says,
        "datasource": DATASOURCE, "targets": targets,
        "gridPos": {"x": x, "y": y, "w": width, "h": HEIGHT},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps},
                **(lines if panel.kind == "timeseries" else {}),
            },
            "overrides": [],
        },
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.kind == "stat" else {},
    }  # fmt: skip
