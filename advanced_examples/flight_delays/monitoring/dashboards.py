"""The three Grafana dashboards of the flight service, as code: panels, each with its queries.

    python advanced_examples/flight_delays/monitoring/dashboards.py     from the course's folder

Writes grafana/dashboards/{overview,model_health,business_kpis}.json. It runs in the course's
environment: the panels are built as in the lesson on monitoring (course/panels.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from course.panels import HEIGHT, WIDTH, WINDOW, Panel, panel_json, rate, share

FOLDER = Path(__file__).parent / "grafana" / "dashboards"
COLUMNS = 3
UP = {0.0: "red", 1.0: "green"}
DRIFT = {0.1: "orange", 0.25: "red"}
PER = '{by="%s"}'

OVERVIEW = [
    Panel("Requests", {rate("flight_requests_total", "status"): "{{status}}"}, "reqps"),
    Panel("Failed requests", {"flight:errors:ratio_5m": "of 5 minutes"}, "percentunit",
          limits={0.05: "red"}, says="The limit is 5 %"),
    Panel("Time to answer", {share(0.5, 'flight_request_seconds'): "p50, all routes",
                             "flight:latency_p99:seconds_5m": "p99 of /predict"}, "s",
          limits={0.5: "red"}, says="p99 has a limit of 500 ms"),
    Panel("Processes that answer", {'up{job=~"flight-.*"}': "{{job}} {{instance}}"}, "bool_yes_no",
          "stat", UP),
    Panel("Feature store", {"min(flight_feature_store_up)": "answers"}, "bool_yes_no", "stat", UP),
    Panel("Model", {"count by (version) (flight_model_info)": "{{version}}"}, kind="stat",
          says="Processes by the version that answers in them"),
    Panel("CPU", {f"rate(flight_process_cpu_seconds_total[{WINDOW}])": "{{instance}}"},
          "percentunit", limits={0.8: "orange"}, says="Of one core; limit 80 % for 5 minutes"),
    Panel("Memory", {"flight_process_resident_memory_bytes": "{{instance}}"}, "bytes"),
    Panel("Time by step", {
        f"sum by (step) (rate(flight_step_seconds_sum[{WINDOW}])) / "
        f"sum by (step) (rate(flight_step_seconds_count[{WINDOW}]))": "{{step}}"},
          "s", says="Reading features, building the vector, asking the models"),
]  # fmt: skip

MODEL_HEALTH = [
    Panel("Accuracy", {f"flight_accuracy{PER % 'all'}": "{{version}}"}, "percentunit",
          limits={0.75: "green"}, says="Rightly called 15 minutes late or not; at least 75 %"),
    Panel("Mean absolute error", {f"flight_mae_minutes{PER % 'all'}": "{{version}}"}, "m"),
    Panel("Flights judged", {f"flight_judged_flights{PER % 'all'}": "{{version}}"},
          says="With fewer than 100 nothing is alerted"),
    Panel("Accuracy by airline", {f"flight_accuracy{PER % 'airline'}": "{{value}} {{version}}"},
          "percentunit"),
    Panel("Ten worst routes", {f"bottomk(10, flight_accuracy{PER % 'route'})":
                               "{{value}} {{version}}"}, "percentunit", "bargauge"),
    Panel("Mean absolute error by airline",
          {f"flight_mae_minutes{PER % 'airline'}": "{{value}} {{version}}"}, "m"),
    Panel("Drift (PSI)", {'topk(10, flight_drift_psi{kind="flight"})': "{{input}}"}, limits=DRIFT,
          says="The ten inputs that have moved most; calendar and history move by themselves"),
    Panel("Drift (KS)", {'topk(10, flight_drift_ks{kind="flight"})': "{{input}}"}),
    Panel("Drift of calendar and history", {'topk(10, flight_drift_psi{kind!="flight"})':
                                            "{{input}} ({{kind}})"}, says="For information only"),
    Panel("Age of features", {"flight_feature_staleness_seconds": "{{view}}"}, "s",
          limits={7200.0: "orange"}, says="The limit is 2 hours"),
    Panel("Flights without a source", {"flight:null_rate:ratio_5m": "{{source}}"}, "percentunit",
          limits={0.01: "orange"}, says="The limit is 1 %"),
    Panel("Predicted delays", {share(0.1, "flight_prediction_delay_minutes"): "p10",
                               share(0.5, "flight_prediction_delay_minutes"): "p50",
                               share(0.9, "flight_prediction_delay_minutes"): "p90"}, "m"),
]  # fmt: skip

BUSINESS_KPIS = [
    Panel("Availability of 30 days", {"flight:availability:ratio_30d": "answered"}, "percentunit",
          "stat", {0.0: "red", 0.999: "green"}, "The service level is 99.9 %"),
    Panel("Error budget left", {"flight:error_budget_left:ratio_30d": "of 30 days"}, "percentunit",
          "stat", {0.0: "orange", 0.25: "green"}, "Below 0: the service level is broken"),
    Panel("Availability", {"flight:availability:ratio_5m": "of 5 minutes"}, "percentunit"),
    Panel("Predictions of the last day", {"sum(increase(flight_predictions_total[1d]))": "flights"},
          kind="stat"),
    Panel("Cost per prediction", {"flight:cost_per_prediction:dollars_1h": "of the last hour"},
          "currencyUSD", says="Processes times FLIGHTS_COST_PER_HOUR, an example, by flights"),
    Panel("Cost per day", {"sum(flight_cost_per_hour_dollars) * 24": "all processes"},
          "currencyUSD", "stat"),
    Panel("Late flights", {'flight_late_ratio{which="predicted"}': "predicted {{version}}",
                           'flight_late_ratio{which="actual"}': "landed {{version}}"},
          "percentunit"),
    Panel("Confidence of predictions", {share(0.1, "flight_prediction_confidence"): "p10",
                                        share(0.5, "flight_prediction_confidence"): "p50"},
          "percentunit"),
    Panel("Answers with all features", {
        f'sum(rate(flight_predictions_total{{features="all"}}[{WINDOW}])) / '
        f"sum(rate(flight_predictions_total[{WINDOW}]))": "share"}, "percentunit"),
]  # fmt: skip

DASHBOARDS = {
    "Overview": OVERVIEW,
    "Model Health": MODEL_HEALTH,
    "Business KPIs": BUSINESS_KPIS,
}


def queries() -> list[str]:
    """Every expression of all dashboards."""
    panels = (panel for panels in DASHBOARDS.values() for panel in panels)
    return [query for panel in panels for query in panel.queries]


def dashboard(title: str) -> dict[str, Any]:
    """One of them in Grafana's model: three panels a line."""
    width = WIDTH // COLUMNS
    panels = [
        panel_json(panel, i + 1, i % COLUMNS * width, i // COLUMNS * HEIGHT, width)
        for i, panel in enumerate(DASHBOARDS[title])
    ]
    return {
        "uid": f"flights-{name(title)}", "title": title, "tags": ["flights"], "schemaVersion": 41,
        "editable": False, "refresh": "30s", "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"}, "templating": {"list": []},
        "annotations": {"list": []}, "panels": panels,
    }  # fmt: skip


def name(title: str) -> str:
    """What its file is called."""
    return title.lower().replace(" ", "_")


def files() -> dict[Path, str]:
    """What Grafana reads, by file."""
    return {
        FOLDER / f"{name(title)}.json": json.dumps(dashboard(title), indent=2) + "\n"
        for title in DASHBOARDS
    }


if __name__ == "__main__":
    for file, text in files().items():
        file.write_text(text, encoding="utf-8")
    print(f"{len(queries())} queries written to {len(DASHBOARDS)} dashboards")
