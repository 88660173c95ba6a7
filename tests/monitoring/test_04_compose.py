"""The compose profile `monitoring`: pinned, private, healthy, and with the files of the lesson."""

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from course.settings import ROOT

MONITORING = ROOT / "advanced_examples" / "monitoring"
COMPOSE = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = {
    name: service
    for name, service in COMPOSE["services"].items()
    if service.get("profiles") == ["monitoring"]
}


def read(path: str) -> dict[str, Any]:
    return YAML(typ="safe").load((MONITORING / path).read_text(encoding="utf-8"))


def test_the_profile_has_the_pipeline_and_both_watchers() -> None:
    assert set(SERVICES) == {"observed", "prometheus", "grafana"}


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_images_are_pinned_to_an_exact_version(name: str) -> None:
    assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_when_it_is_healthy(name: str) -> None:
    assert {"test", "interval", "timeout", "retries"} <= set(SERVICES[name]["healthcheck"])


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:${") for port in SERVICES[name].get("ports", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there_and_read_only(name: str) -> None:
    for mount in SERVICES[name].get("volumes", ()):
        if mount.startswith("."):
            source, _, mode = mount.split(":")
            assert (ROOT / source).exists() and mode == "ro", mount
        else:
            assert mount.split(":")[0] in COMPOSE["volumes"]


def test_one_config_holds_here_and_in_the_container() -> None:
    assert SERVICES["prometheus"]["network_mode"] == "service:observed"
    jobs = read("prometheus.yml")["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    assert targets["prometheus"] == ["127.0.0.1:9090"]
    assert {name: targets[name] for name in ("intake", "worker", "quality")} == {
        "intake": ["127.0.0.1:9101"],
        "worker": ["127.0.0.1:9102"],
        "quality": ["127.0.0.1:9103"],
    }


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    (source,) = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://observed:9090" and source["uid"] == "prometheus"
    (provider,) = read("grafana/provisioning/dashboards/shop.yml")["providers"]
    folders = [mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in folders
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.rpartition("/")[0] in folders
