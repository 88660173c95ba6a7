"""Alert rules and the dashboard as files: promtool's verdict, and nothing untested or misspelt."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from observability import dashboard, scrape
from observability.metrics import IntakeMetrics, QualityMetrics, WorkerMetrics
from ruamel.yaml import YAML

from course.panels import WIDTH
from course.settings import ROOT
from tests.support import run_python

MONITORING = ROOT / "advanced_examples" / "monitoring"


def read(name: str) -> dict[str, Any]:
    return YAML(typ="safe").load((MONITORING / name).read_text(encoding="utf-8"))


ALERTS = [rule for group in read("alerts.yml")["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in ALERTS if "record" in rule}
ALERTS = [rule for rule in ALERTS if "alert" in rule]
CASES = [case for test in read("alerts_test.yml")["tests"] for case in test["alert_rule_test"]]


def promtool(path: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [path, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"),
     ("test", "rules", "alerts_test.yml")],
    ids=" ".join,
)  # fmt: skip
def test_promtool_finds_nothing(tool: Callable[[str], str], arguments: tuple[str, ...]) -> None:
    run = promtool(tool("promtool"), *arguments[:2], MONITORING / arguments[2])
    assert run.returncode == 0, run.stdout + run.stderr


def test_promtools_tests_notice_every_rule_that_is_changed(
    tool: Callable[[str], str], tmp_path: Path
) -> None:
    """All rules at once, each weakened in another way: the tests of every one must fail."""
    text = (MONITORING / "alerts.yml").read_text(encoding="utf-8")
    shutil.copy(MONITORING / "alerts_test.yml", tmp_path)
    changes = {
        "up == 0": "up == 2",
        "14.4 * 0.001": "144 * 0.001",
        "(rate(shop_intake_seconds_bucket[5m]))) > 0.5": "(up)) > 5",
        "timestamp_seconds) > 300": "timestamp_seconds) > 3000",
        "ratio_5m > 0.1": "ratio_5m > 0.3",
        "connected == 0": "connected == 2",
        "> 3600": "> 9000",
        "> 24 * 3600": "> 25 * 3600",
        "0.5 * shop_data": "0.3 * shop_data",
        "> shop_data_null_ratio_limit": "> 4 * shop_data_null_ratio_limit",
        " and shop_data_psi > shop_data_psi_noise) unless": ") unless",
        "expr: shop_data_psi > 0.25": "expr: shop_data_psi > 0.5",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "alerts.yml").write_text(text, encoding="utf-8")
    run = promtool(tool("promtool"), "test", "rules", tmp_path / "alerts_test.yml")
    noticed = set(re.findall(r"alertname: (\w+)", run.stdout + run.stderr))
    assert noticed == {rule["alert"] for rule in ALERTS}
    assert len(changes) == len(ALERTS)


def test_every_alert_is_tested_firing_and_clear() -> None:
    names = {rule["alert"] for rule in ALERTS}
    assert {case["alertname"] for case in CASES if case["exp_alerts"]} == names
    assert {case["alertname"] for case in CASES if not case["exp_alerts"]} == names


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_a_severity_a_duration_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert re.fullmatch(r"\d+m", rule["for"])
    assert rule["annotations"]["summary"] and rule["annotations"]["description"]


def test_rules_and_dashboard_ask_for_metrics_that_exist() -> None:
    described = {
        name
        for metrics in (IntakeMetrics(), WorkerMetrics(), QualityMetrics())
        for family in metrics.registry.collect()
        for name in (family.name, f"{family.name}_total", f"{family.name}_bucket")
    }
    expressions = [rule["expr"] for rule in ALERTS] + dashboard.queries()
    assert scrape.names_in(expressions) <= described


def test_recorded_series_are_used() -> None:
    asked = " ".join([*(rule["expr"] for rule in ALERTS), *dashboard.queries()])
    assert all(record in asked for record in RECORDED)


def test_the_thresholds_are_those_of_the_checks() -> None:
    from observability import quality

    text = (MONITORING / "alerts.yml").read_text()
    assert (quality.PSI_WARNING, quality.PSI_CRITICAL) == (0.1, 0.25)
    assert f"shop_data_psi > {quality.PSI_CRITICAL}" in text
    assert f"shop_data_psi > {quality.PSI_WARNING} and" in text
    assert f"{quality.FEW_ROWS} * shop_data_rows_expected" in text
    assert quality.STALE == 24 * 3600


def test_the_dashboards_file_is_what_the_code_writes() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.text(), (
        "run python -m observability.dashboard"
    )


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    panels = json.loads(dashboard.text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy)
                 for dx in range(place["w"]) for dy in range(place["h"])}  # fmt: skip
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= WIDTH
        taken |= cells


def test_every_panel_says_where_its_data_come_from() -> None:
    panels = [panel for panel in dashboard.dashboard()["panels"] if panel["type"] != "row"]
    assert len(panels) == sum(map(len, dashboard.ROWS.values()))
    for panel in panels:
        assert panel["datasource"]["uid"] == "prometheus"
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


def test_help_tells_how_to_start_prometheus() -> None:
    said = run_python("-m", "observability", "--help")
    assert "prometheus --config.file=advanced_examples/monitoring/prometheus.yml" in said.stdout
