"""The flights' alerts, routes and dashboards as files: checked by their own tools, and complete."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from course.panels import WIDTH
from tests.flights.flight_service import PROJECT
from tests.flights.watched_world import rules_module
from tests.support import load_lesson

MONITORING = PROJECT / "monitoring"
DOCS = PROJECT / "docs"
CONFIG = MONITORING / "alertmanager.yml"


def read(file: Path) -> Any:
    return YAML(typ="safe").load(file.read_text(encoding="utf-8"))


RULES = [rule for group in read(MONITORING / "alerts.yml")["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
TESTS = ("alerts_test.yml", "alerts_week_test.yml")
CASES = [case for file in TESTS for test in read(MONITORING / file)["tests"]
         for case in test.get("alert_rule_test", [])]  # fmt: skip
DASHBOARDS = load_lesson("advanced_examples/flight_delays/monitoring/dashboards.py")
# What the issue of the alerts is, in the rules' own words; changed, its test must fail.
LIMITS = {
    "FlightTargetDown": ('"flight-.*"} == 0', '"flight-.*"} == 2'),
    "FlightErrorRateHigh": ("ratio_5m > 0.05", "ratio_5m > 0.07"),
    "FlightLatencyHigh": ("seconds_5m > 0.5", "seconds_5m > 0.8"),
    "FlightNoModel": ("model_loaded == 0", "model_loaded == 2"),
    "FlightCpuHigh": ("[5m]) > 0.8", "[5m]) > 0.9"),
    "FlightCrashLoop": (">= 3", ">= 4"),
    "FlightFeatureStoreAway": ("store_up == 0", "store_up == 2"),
    "FlightFeaturesStale": ("> 2 * 3600", "> 3 * 3600"),
    "FlightNullRateHigh": ("ratio_5m > 0.01", "ratio_5m > 0.03"),
    "FlightAccuracyLow": ("< 0.75", "< 0.7"),
    "FlightDriftWarning": ("> 0.1 unless", "> 0.3 unless"),
    "FlightDriftCritical": ('expr: flight_drift_psi{kind="flight"} > 0.25\n',
                            'expr: flight_drift_psi{kind="flight"} > 0.3\n'),
    "FlightMonitoringBlind": ("seconds[5m]) == 0", "seconds[5m]) == 99"),
    "FlightDeployed": ("count by (version, build) (flight_service_info)\n",
                       "count by (version, build) (flight_service)\n"),
    "FlightModelUpdated": ("count by (version) (flight_model_info)\n",
                           "count by (version) (flight_model)\n"),
}  # fmt: skip


def said(program: str, *arguments: str | Path) -> tuple[int, str]:
    """The exit code of a command, and what it says."""
    run = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return run.returncode, run.stdout + run.stderr


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"),
     *(("test", "rules", file) for file in TESTS)],
    ids=" ".join,
)  # fmt: skip
def test_promtool_finds_nothing(tool: Callable[[str], str], arguments: tuple[str, ...]) -> None:
    code, output = said(tool("promtool"), *arguments[:2], MONITORING / arguments[2])
    assert code == 0, output


def test_promtools_tests_notice_every_limit_that_is_changed(
    tool: Callable[[str], str], tmp_path: Path
) -> None:
    """All rules at once, each weakened in another way: the tests of every one must fail."""
    text = (MONITORING / "alerts.yml").read_text(encoding="utf-8")
    for old, new in LIMITS.values():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (tmp_path / "alerts.yml").write_text(text, encoding="utf-8")
    files = [shutil.copy(MONITORING / file, tmp_path) for file in TESTS]
    _, output = said(tool("promtool"), "test", "rules", *files)
    assert set(re.findall(r"alertname: (\w+)", output)) == set(ALERTS) == set(LIMITS)


def test_every_alert_is_tested_firing_and_silent() -> None:
    for fires in (True, False):
        tested = {case["alertname"] for case in CASES if bool(case["exp_alerts"]) == fires}
        assert tested == set(ALERTS)


def test_every_alert_leads_to_its_runbook_and_every_runbook_to_its_alert() -> None:
    page = (DOCS / "RUNBOOKS.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(dict.fromkeys(sections))
    assert set(sections) == set(ALERTS)
    for name, rule in ALERTS.items():
        url = rule["annotations"]["runbook_url"]
        assert url.endswith(f"/docs/RUNBOOKS.md#{name.lower()}")
        assert rule["annotations"]["summary"]
        severity = rule["labels"]["severity"]
        assert severity in ("critical", "warning", "info")
        assert f"**Means** ({severity})" in sections[name]
        for part in ("**Look here first:**\n\n    ", "**Do this.**", "**Clears.**"):
            assert part in sections[name], (name, part)


def test_the_guide_lists_every_alert_with_its_severity() -> None:
    page = (DOCS / "MONITORING.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (Flight\w+) \| (\w+) \|", page, re.MULTILINE))
    assert rows == {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}


def test_shorter_windows_change_no_limit() -> None:
    module = rules_module()
    text = module.FILE.read_text(encoding="utf-8")
    short = module.shortened(text, 60)
    times = r"(\[|offset |for: )\d+(?:ms|[smhd])\b"
    assert re.sub(times, r"\1T", short) == re.sub(times, r"\1T", text)
    assert "for: 5000ms" in short and "[5000ms]" in short and "offset 30000ms" in short
    assert module.shortened("for: 1h\nx[30d] > 3600", 2, 1e9) == (
        "for: 1800000ms\nx[1296000000ms] > 3600"
    )


# Alertmanager


def test_amtool_finds_nothing(tool: Callable[[str], str]) -> None:
    code, output = said(tool("amtool"), "check-config", CONFIG)
    assert code == 0 and "SUCCESS" in output, output


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [("severity=critical", "pagerduty"), ("severity=warning", "slack"),
     ("severity=info", "weekly-digest"), ("severity=strange", "slack")],
)  # fmt: skip
def test_alerts_go_where_they_belong(
    tool: Callable[[str], str], labels: str, receiver: str
) -> None:
    command = ("config", "routes", "test", f"--config.file={CONFIG}")
    code, output = said(
        tool("amtool"), *command, f"--verify.receivers={receiver}", labels, "alertname=Any"
    )
    assert code == 0, output


def test_no_secret_is_in_the_file_and_news_come_once_a_week() -> None:
    config = read(CONFIG)
    text = CONFIG.read_text(encoding="utf-8")
    for given in re.findall(r"^\s*-?\s*(\w*(?:key|password|url|secret)\w*): ", text, re.MULTILINE):
        assert given.endswith("_file"), given
    (news,) = (one for one in config["route"]["routes"] if one["receiver"] == "weekly-digest")
    assert news["repeat_interval"] == "6d" and news["active_time_intervals"] == ["monday-morning"]
    (when,) = config["time_intervals"]
    assert when["time_intervals"][0]["weekdays"] == ["monday"]
    kinds = {one["name"]: [key for key in one if key != "name"] for one in config["receivers"]}
    assert kinds == {
        "pagerduty": ["pagerduty_configs"],
        "slack": ["slack_configs"],
        "weekly-digest": ["email_configs"],
    }


def test_what_is_silenced_for_another_alert_exists() -> None:
    for rule in read(CONFIG)["inhibit_rules"]:
        named = re.findall(r"Flight\w+", str(rule))
        assert named and set(named) <= set(ALERTS)


# Dashboards


def test_the_dashboards_files_are_what_the_code_writes() -> None:
    found = {path.name for path in DASHBOARDS.FOLDER.iterdir()}
    assert found == {path.name for path in DASHBOARDS.files()}
    for file, text in DASHBOARDS.files().items():
        assert file.read_text(encoding="utf-8") == text, "run monitoring/dashboards.py"


@pytest.mark.parametrize("title", ["Overview", "Model Health", "Business KPIs"])
def test_a_dashboard_is_whole(title: str) -> None:
    made = json.loads(
        (DASHBOARDS.FOLDER / f"{DASHBOARDS.name(title)}.json").read_text(encoding="utf-8")
    )
    assert made["title"] == title
    taken: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y)
                 for x in range(place["w"]) for y in range(place["h"])}  # fmt: skip
        assert not cells & taken and place["x"] + place["w"] <= WIDTH
        taken |= cells
        assert panel["datasource"]["uid"] == "prometheus"
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


def test_grafana_is_told_where_they_are() -> None:
    folder = MONITORING / "grafana" / "provisioning"
    (provider,) = read(folder / "dashboards" / "flights.yml")["providers"]
    assert provider["folder"] == "Flight Delay Monitoring"
    (source,) = read(folder / "datasources" / "prometheus.yml")["datasources"]
    assert (source["uid"], source["type"]) == ("prometheus", "prometheus")


def test_recorded_series_are_used() -> None:
    asked = " ".join([*(rule["expr"] for rule in RULES), *DASHBOARDS.queries()])
    for record in (rule["record"] for rule in RULES if "record" in rule):
        assert record in asked
