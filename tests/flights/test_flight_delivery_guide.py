"""The delivery guide says what is so: files, figures and names of DEPLOYMENT.md."""

from __future__ import annotations

import re

from tests.flights.delivery import find
from tests.flights.flight_service import PROJECT
from tests.flights.test_flight_delivery_security import pins

GUIDE = (PROJECT / "docs" / "DEPLOYMENT.md").read_text(encoding="utf-8")


def test_files_that_it_names_exist() -> None:
    links = re.findall(r"\]\(([\w./-]+?)(?:#[\w-]+)?\)", GUIDE)
    assert links and all((PROJECT / "docs" / link).exists() for link in links), links
    named = re.findall(r"`((?:src|tests|k8s|environments)/[\w./-]+)", GUIDE)
    roots = (PROJECT, PROJECT.parents[1])
    missing = [name for name in named if not any((root / name).exists() for root in roots)]
    assert missing == []


def test_objects_that_it_names_exist() -> None:
    for name in ("retrain", "materialize"):
        assert f"CronJob `{name}`" in GUIDE and find("CronJob", f"flight-delays-{name}")
    for key in find("ConfigMap", "flight-delays")["data"]:
        assert f"`{key}`" in GUIDE


def test_figures_of_the_manifests() -> None:
    pod = find("Deployment", "flight-delays")["spec"]["template"]["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert f"| 0 to {pause} | preStop" in GUIDE
    assert f"| {pod['terminationGracePeriodSeconds']} | `terminationGracePeriod" in GUIDE
    probe = pod["containers"][0]["startupProbe"]
    assert f"allows {probe['periodSeconds'] * probe['failureThreshold']} s" in GUIDE


def test_packages_are_as_many_as_it_says() -> None:
    (said,) = re.findall(r"Each of the (\d+)\s+pinned packages", GUIDE)
    assert abs(int(said) - len(pins("serving"))) <= 1, "one more or less by Python's version"
