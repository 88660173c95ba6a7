"""What is delivered is scanned: code, secrets, licences, known vulnerabilities, and listed as SBOM.

Each scanner is shown something bad first: one that finds nothing anywhere would pass every scan.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from course.settings import ROOT
from tests.flights.delivery import check_tool
from tests.flights.flight_service import PROJECT, python

CODE = ("src", "features", "feature_repo")
# What bandit asks about and why it is no hole here. A finding of another kind or place fails.
ACCEPTED = {
    ("B608", "src/feature_eng.py"): "names of views and columns in SQL, all constants of ours",
    ("B608", "src/materialize.py"): "the same",
}
# Kinds that are accepted anywhere: thought of once, for all places.
HARMLESS = {
    "B101": "assert tells the type checker; nothing depends on it",
    "B105": "a word that looks like a password to it",
    "B310": "urlopen: addresses come from whoever runs a command, none from a request",
    "B311": "chance for simulations and for dealing out, not for secrets",
    "B404": "subprocess: our own commands, as lists",
    "B603": "the same",
    "B607": "the same, found on PATH",
}
PERMISSIVE = {
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "Apache-2.0",
    "PSF-2.0",
    "Zlib",
    "Python-2.0",
    "CC0-1.0",
}
# Everybody knows these: short-lived servers' passwords, examples, and keys made on the spot.
NO_SECRETS = ("admin123", "demo-key", "p%40ss", "se%40cret", "openssl rand")
IN_WORDS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
}
# Packages that tell their licence in words only: name, the words.
TOLD = {"protobuf": ("3-Clause BSD License", "BSD-3-Clause")}
OF_THE_ENVIRONMENT = {"pip", "setuptools", "uv", "flight-delay"}  # not packages of the image


def pins(name: str) -> dict[str, str]:
    """What a lock file pins on this machine: versions by name."""
    text = (PROJECT / "environments" / name / "requirements.txt").read_text(encoding="utf-8")
    wanted = [Requirement(line) for line in text.splitlines() if re.match(r"\w", line)]
    asked = {"python_full_version": version_of(name)}
    return {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==")
        for one in wanted
        if one.marker is None or one.marker.evaluate(asked)
    }


def version_of(name: str) -> str:
    """The version of an environment's Python."""
    asked = [python(name), "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def findings(*folders: str | Path) -> list[dict[str, Any]]:
    """What bandit finds in folders."""
    scan = check_tool("bandit", "--quiet", "--format", "json", "--recursive", *folders)
    assert scan.returncode in (0, 1), scan.stderr
    told = json.loads(scan.stdout)
    assert told["errors"] == []
    return told["results"]


def secrets(folder: Path, files: Iterable[str]) -> set[tuple[str, int]]:
    """Where something looks like a secret: file and line; nothing is looked up elsewhere."""
    # In its folder: what lies outside of where it runs, it leaves out in silence.
    scan = check_tool("detect-secrets", "scan", "--no-verify", "--all-files", *files, cwd=folder)
    assert scan.returncode == 0, scan.stderr
    found = json.loads(scan.stdout)["results"]
    return {(name, one["line_number"]) for name, each in found.items() for one in each}


@pytest.fixture(scope="module")
def sbom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the serving environment holds, as CycloneDX that its own schema has passed."""
    file = tmp_path_factory.mktemp("sbom") / "sbom.cdx.json"
    made = check_tool(
        "cyclonedx-py", "environment", "--validate", "--output-reproducible",
        "--output-file", file, python("serving"),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return json.loads(file.read_text(encoding="utf-8"))


def licences(component: dict[str, Any]) -> set[str]:
    """The licences of a component, all of them, as SPDX names where it tells them so."""
    found: set[str] = set()
    for one in component.get("licenses", []):
        text = one.get("expression") or one["license"].get("id") or one["license"]["name"]
        text = IN_WORDS.get(text, text)
        found |= set(re.split(r"\s+(?:AND|OR)\s+", text.replace("(", "").replace(")", "")))
    return found


def test_bandit_finds_nothing_that_nobody_has_thought_of() -> None:
    unknown = [
        f"{one['test_id']} {one['filename']}:{one['line_number']} {one['issue_text']}"
        for one in findings(*CODE)
        if (one["test_id"], one["filename"]) not in ACCEPTED and one["test_id"] not in HARMLESS
    ]
    assert unknown == []
    asking = [
        file for file in (PROJECT / "src" / "service").glob("*.py") if file.name != "process.py"
    ]
    assert not [file for file in asking if "urlopen" in file.read_text(encoding="utf-8")]


def test_bandit_would_find_a_hole(tmp_path: Path) -> None:
    bad = "import subprocess\n\ndef f(x):\n    return subprocess.call(x, shell=True)\n"
    (tmp_path / "bad.py").write_text(bad, encoding="utf-8")
    assert "B602" in {one["test_id"] for one in findings(tmp_path)}


def test_no_secret_is_in_the_project_s_files() -> None:
    """Of what git knows of the project and its workflows."""
    listed = subprocess.run(
        ["git", "ls-files", "--", PROJECT, ".github/workflows/flight-delays-*.yml"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    files = [name for name in listed if (ROOT / name).is_file()]
    assert len(files) > 100
    unknown = []
    for name, number in sorted(secrets(ROOT, files)):
        line = (ROOT / name).read_text(encoding="utf-8").splitlines()[number - 1]
        if not any(word in line for word in NO_SECRETS):
            unknown.append(f"{name}:{number} {line.strip()}")
    assert unknown == []


def test_a_secret_would_be_found(tmp_path: Path) -> None:
    key = "AKIA" + "QX7RT2LMZ9KD4WVP"
    (tmp_path / "slip.py").write_text(f'aws = "{key}"\n', encoding="utf-8")
    assert secrets(tmp_path, ["slip.py"]) == {("slip.py", 1)}


def test_no_pinned_package_has_a_known_vulnerability(tmp_path: Path) -> None:
    wanted = pins("serving")
    file = tmp_path / "pins.txt"
    file.write_text("".join(f"{one}=={of}\n" for one, of in wanted.items()), encoding="utf-8")
    audit = check_tool(
        "pip-audit", "--requirement", file, "--no-deps", "--disable-pip", "--format", "json",
        "--progress-spinner", "off", "--timeout", "20",
    )  # fmt: skip
    if not audit.stdout.startswith("{"):
        pytest.skip(f"the vulnerability database can't be had: {audit.stderr[-300:]}")
    told = json.loads(audit.stdout)["dependencies"]
    asked = [one for one in told if "vulns" in one]
    if not asked:
        pytest.skip("the package index here knows no vulnerabilities: nothing was audited")
    assert {one["name"]: one["vulns"] for one in asked if one["vulns"]} == {}
    left = {one["name"] for one in told} - {one["name"] for one in asked}
    assert left <= {"xgboost-cpu"}, f"not audited: {left}"


def test_every_pinned_package_is_in_the_sbom_with_its_version(sbom: dict[str, Any]) -> None:
    assert sbom["bomFormat"] == "CycloneDX"
    listed = {canonicalize_name(one["name"]): one["version"] for one in sbom["components"]}
    wanted = pins("serving")
    assert listed.items() >= wanted.items()
    assert set(listed) - set(wanted) <= OF_THE_ENVIRONMENT
    print(f"{len(wanted)} packages in the image")
    for one in sbom["components"]:
        if canonicalize_name(one["name"]) in wanted:
            assert one["purl"].startswith("pkg:pypi/")


def test_every_licence_lets_us_pass_it_on(sbom: dict[str, Any]) -> None:
    wanted = pins("serving")
    for one in sbom["components"]:
        name = canonicalize_name(one["name"])
        if name not in wanted:
            continue
        its = licences(one) or ({TOLD[name][1]} if name in TOLD else set())
        assert its and its <= PERMISSIVE, f"{name}: {its or 'no licence'}"


@pytest.mark.parametrize("name", TOLD)
def test_licences_that_are_told_in_words(name: str) -> None:
    ask = f"from importlib.metadata import metadata; print(metadata({name!r})['License'])"
    told = subprocess.run(
        [python("serving"), "-c", ask], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == TOLD[name][0]
