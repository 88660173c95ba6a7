"""The flights' workflows: valid, pinned, of little privilege, and calling only what is there.

By their files only: nothing here runs on GitHub. Their scripts for the cluster run here with a
stand-in for kubectl.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from course.settings import ROOT
from tests.flights.delivery import CHECKS, K8S, WORKFLOWS, check_tool, course_tool
from tests.flights.flight_service import PROJECT, python
from tests.support import run_python

Workflow = dict[str, Any]
FILES = ("flight-delays-ci.yml", "flight-delays-deploy.yml")
PYTHON = re.compile(r"(?:^|\s)(?:\S*/)?python3? (?:-m )?(\S+\.py|[\w.]+)(.*)")
OWN_OPTIONS = re.compile(r"(?<=\s)--[a-z][\w-]*")
LAYERS = ("base", "staging", "staging/checks", "canary", "canary/job")
each = pytest.mark.parametrize("name", FILES)
bash = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not here")


def read(name: str) -> Workflow:
    """A workflow, its anchors resolved."""
    return YAML(typ="safe").load((WORKFLOWS / name).read_text(encoding="utf-8"))


def steps(workflow: Workflow) -> Iterator[dict[str, Any]]:
    """Every step of every job."""
    for job in workflow["jobs"].values():
        yield from job["steps"]


def commands(name: str) -> list[str]:
    """Every command of a workflow, continued lines joined, one a line."""
    text = "\n".join(step["run"] for step in steps(read(name)) if "run" in step)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@each
def test_they_follow_their_schema(name: str) -> None:
    checked = course_tool(
        "check-jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOWS / name
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@each
@pytest.mark.skipif(sys.platform != "linux", reason="actionlint comes for Linux only")
def test_actionlint_finds_nothing(name: str) -> None:
    checked = check_tool("actionlint", WORKFLOWS / name)
    assert checked.returncode == 0, checked.stdout


@each
@pytest.mark.skipif(sys.platform == "win32", reason="zizmor has no package for Windows here")
def test_zizmor_finds_no_way_in(name: str) -> None:
    checked = check_tool("zizmor", "--offline", "--no-progress", WORKFLOWS / name)
    assert checked.returncode == 0, checked.stdout


@each
def test_actions_are_github_s_own_and_pinned_to_a_commit(name: str) -> None:
    lines = re.findall(r"uses: (.*)", (WORKFLOWS / name).read_text(encoding="utf-8"))
    assert lines
    for line in lines:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@each
def test_they_may_read_and_little_more(name: str) -> None:
    workflow = read(name)
    assert workflow["permissions"] == {"contents": "read"}
    more = {
        key: job["permissions"] for key, job in workflow["jobs"].items() if "permissions" in job
    }
    assert more in ({}, {"image": {"contents": "read", "packages": "write"}})
    for step in steps(workflow):
        if str(step.get("uses", "")).startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


@each
def test_every_job_has_a_fixed_system_and_a_time_limit(name: str) -> None:
    for job in read(name)["jobs"].values():
        assert job["runs-on"] == "ubuntu-24.04" and 0 < job["timeout-minutes"] <= 150


@each
def test_what_comes_from_outside_reaches_the_shell_as_a_variable_only(name: str) -> None:
    assert not [line for line in commands(name) if "${{" in line]


def test_ci_does_what_was_announced() -> None:
    jobs = read(FILES[0])["jobs"]
    assert set(jobs) == {"lint", "tests", "pipeline", "security", "image"}
    assert set(jobs["image"]["needs"]) == set(jobs) - {"image"}
    lines = commands(FILES[0])
    for wanted in ("dvc repro validate", "dvc repro", "ruff check .", "hadolint Dockerfile"):
        assert wanted in lines
    assert jobs["image"]["env"]["LARGEST"] == str(450 * 10**6)


def test_services_are_those_of_the_compose_file() -> None:
    compose = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    for job in read(FILES[0])["jobs"].values():
        for service, given in job.get("services", {}).items():
            assert given["image"] == compose["services"][service]["image"]


def test_deployment_goes_by_staging_and_canary_and_comes_back_within_five_minutes() -> None:
    jobs = read(FILES[1])["jobs"]
    assert jobs["staging"]["needs"] == "manifests" and jobs["production"]["needs"] == "staging"
    assert jobs["production"]["environment"] == "production"
    by_name = {step.get("name"): step for step in jobs["production"]["steps"]}
    recovery = by_name["Recovery, within five minutes"]
    assert recovery["timeout-minutes"] == 5 and "failure()" in recovery["if"]
    (canary,) = (step["run"] for step in jobs["production"]["steps"] if "canary/job" in
                 step.get("run", "") and "verdict" in step["run"])  # fmt: skip
    job = YAML(typ="safe").load((K8S / "canary" / "job" / "job.yaml").read_text(encoding="utf-8"))
    waited = int(re.search(r"flight-delays-canary (\d+)", canary)[1])
    assert waited > job["spec"]["activeDeadlineSeconds"], "the job's own limit comes first"
    assert jobs["production"]["timeout-minutes"] * 60 > waited + 4 * 300
    assert jobs["notify"]["if"] == "always()"


def test_staging_bears_a_thousand_requests_a_second() -> None:
    text = (K8S / "staging" / "checks" / "jobs.yaml").read_text(encoding="utf-8")
    (load,) = (job for job in YAML(typ="safe").load_all(text) if "load" in job["metadata"]["name"])
    (command,) = load["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--duration 2m" in command
    assert load["spec"]["parallelism"] * int(re.search(r"--rps (\d+)", command)[1]) >= 1000


def called() -> Iterator[tuple[str, str]]:
    """Every Python command of workflows and jobs: script or module, and its arguments."""
    jobs = (K8S / "staging" / "checks" / "jobs.yaml").read_text(encoding="utf-8")
    for line in [*(one for name in FILES for one in commands(name)), *jobs.splitlines()]:
        yield from PYTHON.findall(line)


def test_scripts_and_options_exist() -> None:
    seen = set()
    for target, rest in called():
        options = set(OWN_OPTIONS.findall(rest))
        if target.endswith("learn.py"):
            assert (PROJECT / target).resolve() == ROOT / "learn.py"
            verb, *places = rest.split()
            if verb == "environment":
                assert all((PROJECT / one / "requirements.txt").exists() for one in places)
            else:
                usage = run_python("-m", "course", verb, "--help").stdout
                assert options <= set(OWN_OPTIONS.findall(usage)), rest
                assert all((ROOT / one).exists() for one in places if one.startswith("tests/"))
        elif target.endswith(".py"):
            usage = subprocess.run(
                [python("serving"), PROJECT / target, "--help"], cwd=PROJECT, check=False,
                capture_output=True, text=True,
            )  # fmt: skip
            known = set(OWN_OPTIONS.findall(usage.stdout)) | {"--trees", "--features"}
            assert options <= known or target.endswith("tiny_model.py"), f"{target} {rest}"
        else:
            assert target in ("pip", "pytest"), target
        seen.add(Path(target).name)
    assert {"learn.py", "pytest", "smoke_test.py", "load_test.py", "tiny_model.py"} <= seen


def test_files_and_programs_that_are_named_exist() -> None:
    for name in FILES:
        for line in commands(name):
            for script in re.findall(r"bash (\S+)", line):
                assert (PROJECT / script).exists(), script
            for patch in re.findall(r"--patch-file (\S+)", line):
                assert (PROJECT / patch).exists(), patch
            for layer in re.findall(r"-k k8s/release/(\S+)", line):
                assert layer in LAYERS
            for program in re.findall(r"environments/checks/\.venv/bin/(\S+)", line):
                wanted = {"cyclonedx-py": "cyclonedx-bom"}[program]
                assert wanted in (CHECKS / "requirements.txt").read_text(encoding="utf-8")


@bash
@pytest.mark.parametrize("layer", LAYERS)
def test_a_release_is_the_layer_with_the_images_of_its_version(layer: str, tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not here")
    copy = tmp_path / "k8s"
    shutil.copytree(K8S, copy, ignore=shutil.ignore_patterns("release"))
    home = copy / "release" / layer
    home.mkdir(parents=True)
    made = subprocess.run(
        ["bash", "release.sh", layer, "registry.example/team", "1.2.3"], cwd=copy,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (home / "kustomization.yaml").write_text(made.stdout, encoding="utf-8")
    built = subprocess.run([kubectl, "kustomize", home], capture_output=True, text=True, check=True)
    images = set(re.findall(r"image: (\S+)", built.stdout))
    names = {"registry.example/team/flight-delays:1.2.3",
             "registry.example/team/flight-delays-training:1.2.3"}  # fmt: skip
    assert images <= names and (images or layer == "canary/job")
    space = "flight-delays-staging" if layer.startswith("staging") else "flight-delays"
    assert set(re.findall(r"^  namespace: (\S+)$", built.stdout, re.MULTILINE)) == {space}


@bash
@pytest.mark.parametrize(
    ("answers", "code", "says"),
    [(",|,|True,", 0, "completed"), (",|,True", 1, "failed"), (",", 1, "no end within 1 s")],
)
def test_a_job_s_verdict(answers: str, code: int, says: str, tmp_path: Path) -> None:
    """A stand-in for kubectl tells one state after another, and goes on telling the last."""
    states = tmp_path / "states"
    states.write_text("\n".join(answers.split("|")) + "\n", encoding="utf-8")
    stand_in = tmp_path / "kubectl"
    stand_in.write_text(
        '#!/bin/sh\ncase "$*" in *logs*) echo "last words"; exit ;; esac\n'
        f'cd "{tmp_path}"\nhead -n 1 states\n'
        '[ "$(wc -l < states)" -gt 1 ] && sed -i 1d states\nexit 0\n',
        encoding="utf-8",
    )
    stand_in.chmod(0o755)
    told = subprocess.run(
        ["bash", K8S / "verdict.sh", "space", "job", "1" if code and answers == "," else "30"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "EVERY": "0.1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == code, told.stdout + told.stderr
    assert says in told.stdout + told.stderr and "last words" in told.stdout
