"""The CI workflow: valid, pinned, of little privilege, and calling only what the project has."""

import re
from collections.abc import Iterator
from typing import Any

from course import settings
from course.settings import ROOT
from tests.deploy.conftest import Checker
from tests.support import run_python

Workflow = dict[str, Any]
CALL = re.compile(r"python3? (?:learn\.py|-m course) (\w+)(.*)")


def steps(workflow: Workflow) -> Iterator[dict[str, Any]]:
    """Every step of every job."""
    for job in workflow["jobs"].values():
        yield from job["steps"]


def test_workflow_follows_its_schema(checker: Checker) -> None:
    checker(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        ".github/workflows/ci.yml",
    )


def test_pushes_pull_requests_and_every_week(workflow: Workflow) -> None:
    assert {"push", "pull_request", "schedule"} <= set(workflow["on"])


def test_workflow_may_only_read_and_a_newer_push_cancels_it(workflow: Workflow) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True


def test_every_job_has_a_time_limit_and_a_fixed_system(workflow: Workflow) -> None:
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        systems = job.get("strategy", {}).get("matrix", {}).get("system", [job["runs-on"]])
        assert all(re.search(r"-\d", system) for system in systems)


def test_actions_are_pinned_to_a_major_version(workflow: Workflow) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[a-z-]+@v\d+", name) for name in used)


def test_linux_uses_the_images_of_the_compose_file(
    workflow: Workflow, compose: dict[str, Any]
) -> None:
    services = workflow["jobs"]["services"]["services"]
    assert {name: service["image"] for name, service in services.items()} == {
        name: compose["services"][name]["image"] for name in settings.SERVICES
    }
    assert all("--health-cmd" in service["options"] for service in services.values())


def test_linux_gives_the_urls_of_the_course(
    workflow: Workflow, default_urls: dict[str, str]
) -> None:
    given = workflow["jobs"]["services"]["env"]
    assert {name: url.partition("?")[0] for name, url in given.items()} == default_urls


def test_linux_with_real_services_skips_nothing(workflow: Workflow) -> None:
    commands = [step.get("run", "") for step in workflow["jobs"]["services"]["steps"]]
    calls = [call for command in commands for call in CALL.findall(command)]
    assert {verb for verb, _ in calls} == {"run", "test"}
    assert all("--strict" in options for _, options in calls)


def test_embedded_stack_runs_on_every_system_and_python(workflow: Workflow) -> None:
    matrix = workflow["jobs"]["embedded"]["strategy"]["matrix"]
    assert {system.split("-")[0] for system in matrix["system"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.11", "3.12", "3.13"]


def test_every_verb_and_option_exists(workflow: Workflow) -> None:
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    calls = {call for command in commands for call in CALL.findall(command)}
    assert {verb for verb, _ in calls} == {"run", "test"}
    for verb, options in calls:
        usage = run_python("-m", "course", verb, "--help").stdout
        assert set(re.findall(r"--\w+", options)) <= set(re.findall(r"--\w+", usage)), verb


def test_build_server_tests_from_any_directory() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert script[0] == "#!/usr/bin/env bash"
    assert script[2:] == [
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")/.."',
        "exec python3 learn.py test",
    ]
