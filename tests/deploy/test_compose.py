"""docker-compose.yml and .env.example: valid, pinned, private, and agreeing with the settings."""

import re
import shutil
import subprocess
from typing import Any

import pytest

from course import settings
from course.settings import ROOT
from tests.deploy.conftest import Checker

Compose = dict[str, Any]
MONITORING = {"observed", "prometheus", "grafana"}  # see tests/monitoring/test_04_compose.py
WITH_DEFAULT = re.compile(r"\$\{(\w+):-([^}]*)\}")
EVERY_SERVICE = pytest.mark.parametrize("service", settings.SERVICES)


def docker_compose(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run docker's compose plugin in the project's root."""
    command = ["docker", "compose", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_compose_file_follows_the_specification(checker: Checker) -> None:
    checker("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_docker_reads_the_compose_file() -> None:
    if not shutil.which("docker") or docker_compose("version").returncode:
        pytest.skip("docker's compose plugin is not on this machine: checked by schema only")
    run = docker_compose("--profile", "*", "config", "--quiet")
    assert run.returncode == 0, run.stderr


def test_services_are_those_of_the_course(compose: Compose) -> None:
    assert set(compose["services"]) == {*settings.SERVICES, "lessons", *MONITORING}


@EVERY_SERVICE
def test_image_is_pinned_to_a_minor_version(compose: Compose, service: str) -> None:
    assert re.fullmatch(r"[a-z]+:\d+\.\d+(-[a-z]+)?", compose["services"][service]["image"])


@EVERY_SERVICE
def test_service_says_when_it_is_healthy(compose: Compose, service: str) -> None:
    healthcheck = compose["services"][service]["healthcheck"]
    assert {"test", "interval", "timeout", "retries"} <= set(healthcheck)


@EVERY_SERVICE
def test_ports_are_open_to_this_machine_only(compose: Compose, service: str) -> None:
    ports = compose["services"][service]["ports"]
    assert ports and all(port.startswith("127.0.0.1:${") for port in ports)


@EVERY_SERVICE
def test_data_outlives_the_container(compose: Compose, service: str) -> None:
    names = [mount.split(":")[0] for mount in compose["services"][service]["volumes"]]
    assert names and set(names) <= set(compose["volumes"])


def test_postgres_is_asked_by_name_because_the_loopback_answers_too_early(compose: Compose) -> None:
    assert "-h postgres " in compose["services"]["postgres"]["healthcheck"]["test"]


def test_postgres_18_keeps_its_data_where_its_image_wants_it(compose: Compose) -> None:
    assert compose["services"]["postgres"]["volumes"] == ["postgres-data:/var/lib/postgresql"]


def test_mongo_is_a_replica_set_whose_name_its_healthcheck_founds(compose: Compose) -> None:
    command = compose["services"]["mongo"]["command"]
    script = compose["services"]["mongo"]["healthcheck"]["test"][-1]
    assert f'_id: "{command[command.index("--replSet") + 1]}"' in script


def test_lessons_wait_for_every_service_and_are_given_every_url(compose: Compose) -> None:
    lessons = compose["services"]["lessons"]
    assert lessons["profiles"] == ["lessons"]
    healthy = {"condition": "service_healthy"}
    assert lessons["depends_on"] == dict.fromkeys(settings.SERVICES, healthy)
    assert set(lessons["environment"]) == set(settings.URL_NAMES.values())
    for service, name in settings.URL_NAMES.items():
        assert re.search(rf"(//|@){service}:\d+/", lessons["environment"][name])


def test_defaults_are_those_of_the_settings() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    defaults = set(WITH_DEFAULT.findall(text))
    assert defaults == set(settings.DEFAULTS.items())
    assert text.count("${") == len(WITH_DEFAULT.findall(text)), "a variable without a default"


def test_env_example_copied_unchanged_changes_nothing() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert settings.parse_env(example) == settings.DEFAULTS


def test_env_example_shows_every_url_commented_out(default_urls: dict[str, str]) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = re.findall(r"^#(\w+)=([^?\n]+)", example, re.MULTILINE)
    assert dict(shown) == default_urls
