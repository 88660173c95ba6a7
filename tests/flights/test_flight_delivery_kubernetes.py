"""The flights' Kubernetes objects: valid, and in agreement with each other and with the service.

By schema and by comparison only: what a cluster does with them is for the staging job of
flight-delays-deploy.yml to show.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema_rs import validator_for

from tests.flights.delivery import (
    K8S,
    Manifest,
    check_tool,
    documents,
    find,
    manifest_files,
    manifests,
)
from tests.flights.flight_service import PROJECT, python
from tests.flights.image import stages

LAYERS = [K8S / name for name in ("base", "staging", "staging/checks", "canary", "canary/job")]
POD_KINDS = ("Deployment", "CronJob", "Job")
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}
# ServiceMonitor of monitoring.coreos.com/v1, as far as it is used: nothing else may stand there.
SERVICE_MONITOR = {
    "type": "object", "required": ["selector", "endpoints"], "additionalProperties": False,
    "properties": {
        "selector": {
            "type": "object", "required": ["matchLabels"], "additionalProperties": False,
            "properties": {"matchLabels": {"additionalProperties": {"type": "string"}}},
        },
        "endpoints": {"type": "array", "minItems": 1, "items": {
            "type": "object", "required": ["port"], "additionalProperties": False,
            "properties": {"port": {"type": "string"}, "path": {"pattern": "^/"},
                           "interval": DURATION, "scrapeTimeout": DURATION},
        }},
    },
}  # fmt: skip
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def pod_of(one: Manifest) -> Manifest:
    """The pod template of an object that makes pods."""
    spec = one["spec"]
    return (spec["jobTemplate"]["spec"] if one["kind"] == "CronJob" else spec)["template"]


def pods() -> Iterator[tuple[str, Manifest]]:
    """Every pod template, by the name of what makes it."""
    for _, one in manifests():
        if one["kind"] in POD_KINDS:
            yield one["metadata"]["name"], pod_of(one)


def containers() -> Iterator[tuple[str, Manifest]]:
    """Every container, by the name of what makes its pod."""
    for name, pod in pods():
        for container in pod["spec"]["containers"]:
            yield name, container


def container(name: str, kind: str = "Deployment") -> Manifest:
    """The only container of an object."""
    (one,) = pod_of(find(kind, name))["spec"]["containers"]
    return one


def ports(rule: Manifest) -> set[tuple[str, int]]:
    """Protocol and port of a rule."""
    return {(one["protocol"], one["port"]) for one in rule["ports"]}


def matches(selector: Manifest, labels: Manifest) -> bool:
    """Whether a selector of labels picks something with `labels`."""
    return selector.get("matchLabels", selector).items() <= labels.items()


def amount(text: str) -> float:
    """CPUs or bytes of a quantity such as 500m or 512Mi."""
    if text.endswith("m"):
        return float(text[:-1]) / 1000
    return float(text[:-2]) * UNITS[text[-2:]] if text[-2:] in UNITS else float(text)


def test_objects_follow_their_schemas_strictly() -> None:
    checked = check_tool("kubernetes-validate", "--strict", *manifest_files())
    assert checked.returncode == 0, checked.stdout + checked.stderr
    said = checked.stdout + checked.stderr
    unknown = re.findall(r"Couldn't find schema for kind (\w+)", said)
    assert unknown == ["ServiceMonitor"], "checked below, by a schema of its own"
    assert said.count(" passed ") + 1 == len(list(manifests()))


def test_the_schemas_are_strict(tmp_path: Path) -> None:
    text = (K8S / "base" / "deployment.yaml").read_text(encoding="utf-8")
    (tmp_path / "slip.yaml").write_text(text.replace("replicas:", "replica:"), encoding="utf-8")
    checked = check_tool("kubernetes-validate", "--strict", tmp_path / "slip.yaml")
    assert checked.returncode != 0 and "replica" in checked.stdout + checked.stderr


def test_the_service_monitor_follows_its_schema() -> None:
    monitor = find("ServiceMonitor", "flight-delays")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    errors = [str(one) for one in validator_for(SERVICE_MONITOR).iter_errors(monitor["spec"])]
    assert errors == []


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.relative_to(K8S).as_posix())
def test_kustomize_builds_what_is_there(layer: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not here: the kustomizations are checked by their files only")
    built = subprocess.run(
        [kubectl, "kustomize", layer], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    named = documents(layer / "kustomization.yaml")[0]["resources"]
    if layer.name == "staging":  # the base in another namespace
        named = [
            f"../base/{file}"
            for file in documents(LAYERS[0] / "kustomization.yaml")[0]["resources"]
        ]
    wanted = sum(len(documents(layer / file)) for file in named)
    assert len(re.findall(r"^kind: ", built.stdout, re.MULTILINE)) == wanted
    spaces = set(re.findall(r"^  namespace: (\S+)$", built.stdout, re.MULTILINE))
    assert spaces == {"flight-delays-staging" if "staging" in layer.parts else "flight-delays"}


def test_every_file_is_in_a_kustomization_but_the_secret() -> None:
    named = {
        (layer / file).resolve()
        for layer in LAYERS
        for file in documents(layer / "kustomization.yaml")[0]["resources"]
        if file.endswith(".yaml")
    }
    left = {file.name for file in manifest_files() if file.resolve() not in named}
    assert left == {"secret.example.yaml"}


def test_no_secret_is_in_git() -> None:
    (example,) = documents(K8S / "base" / "secret.example.yaml")
    assert set(example["stringData"].values()) == {""}
    wanted = {
        one["valueFrom"]["secretKeyRef"]["key"]
        for _, box in containers()
        for one in box.get("env", [])
        if "valueFrom" in one
    }
    assert wanted == set(example["stringData"])


def test_as_named_three_replicas_their_sizes_and_a_rolling_update() -> None:
    spec = find("Deployment", "flight-delays")["spec"]
    assert spec["replicas"] == 3
    assert spec["strategy"]["type"] == "RollingUpdate"
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    resources = container("flight-delays")["resources"]
    assert resources["requests"] == {"cpu": "500m", "memory": "512Mi"}
    assert resources["limits"] == {"cpu": "1000m", "memory": "1Gi"}


def test_as_named_the_autoscaler() -> None:
    spec = find("HorizontalPodAutoscaler", "flight-delays")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 10)
    of = {one["resource"]["name"]: one["resource"]["target"] for one in spec["metrics"]}
    assert of["cpu"]["averageUtilization"] == 70 and of["memory"]["averageUtilization"] == 80
    target = spec["scaleTargetRef"]
    assert find(target["kind"], target["name"])["apiVersion"] == target["apiVersion"]
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    assert up["stabilizationWindowSeconds"] == 0 and down["stabilizationWindowSeconds"] >= 300


def test_as_named_the_service_leads_callers_to_one_pod_each() -> None:
    spec = find("Service", "flight-delays")["spec"]
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": 9696}]
    assert spec["type"] == "ClusterIP" and spec["sessionAffinity"] == "ClientIP"


@pytest.mark.parametrize("name", ["flight-delays", "flight-delays-candidate"])
def test_as_named_the_probes_ask_routes_that_exist(name: str) -> None:
    box = container(name)
    live, ready = box["livenessProbe"], box["readinessProbe"]
    assert (live["httpGet"]["path"], live["periodSeconds"]) == ("/health", 30)
    assert (ready["httpGet"]["path"], ready["periodSeconds"]) == ("/ready", 10)
    code = (PROJECT / "src" / "service" / "app.py").read_text(encoding="utf-8")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert f'@app.get("{box[probe]["httpGet"]["path"]}"' in code
        assert box[probe].get("timeoutSeconds", 1) <= box[probe]["periodSeconds"]


def test_a_pod_has_the_time_that_its_service_takes_to_end() -> None:
    """preStop, then the longest request, then what the service adds itself."""
    params = documents(PROJECT / "params.yaml")[0]["service"]
    server = (PROJECT / "src" / "service" / "server.py").read_text(encoding="utf-8")
    grace = int(re.search(r"^GRACE = (\d+)", server, re.MULTILINE)[1])
    for name in ("flight-delays", "flight-delays-candidate"):
        pod = pod_of(find("Deployment", name))["spec"]
        pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= pause + params["timeout_seconds"] + grace
    router = (PROJECT / "src" / "rollout" / "router.py").read_text(encoding="utf-8")
    grace = float(re.search(r"^GRACE = ([\d.]+)", router, re.MULTILINE)[1])
    pod = pod_of(find("Deployment", "flight-delays-router"))["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= pause + grace


def test_the_settings_read_what_the_config_map_says() -> None:
    code = [file.read_text(encoding="utf-8") for file in (PROJECT / "src").rglob("*.py")]
    for key in find("ConfigMap", "flight-delays")["data"]:
        assert any(f'"{key}"' in text for text in code), f"nothing reads {key}"
    assert set(find("ConfigMap", "flight-delays")["data"]) == {
        "MODEL_PATH",
        "DATA_PATH",
        "LOG_LEVEL",
    }


def test_paths_of_the_config_map_are_mounted() -> None:
    paths = find("ConfigMap", "flight-delays")["data"]
    mounts = {one["mountPath"]: one for one in container("flight-delays")["volumeMounts"]}
    assert mounts[paths["MODEL_PATH"]]["readOnly"] is True
    for job in ("flight-delays-retrain", "flight-delays-materialize"):
        box = container(job, "CronJob")
        (home,) = (one["value"] for one in box["env"] if one["name"] == "FLIGHTS_HOME")
        assert any(one["mountPath"] == home for one in box["volumeMounts"])
        assert paths["MODEL_PATH"].startswith(home) and paths["DATA_PATH"].startswith(home)


def test_selectors_find_their_pods_and_only_those() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods()}
    for _, one in manifests():
        if one["kind"] == "Deployment":
            name = one["metadata"]["name"]
            picked = [pod for pod, its in labels.items() if matches(one["spec"]["selector"], its)]
            assert picked == [name], "two controllers must not fight for a pod"
        elif one["kind"] == "Service":
            picked = [pod for pod, its in labels.items() if matches(one["spec"]["selector"], its)]
            assert len(picked) == 1, one["metadata"]["name"]
            (port,) = one["spec"]["ports"]
            ports = container(picked[0])["ports"]
            assert port["targetPort"] in {p["containerPort"] for p in ports} | {
                p["name"] for p in ports
            }


def test_the_disruption_budget_never_blocks_a_drain_or_a_rollout() -> None:
    budget = find("PodDisruptionBudget", "flight-delays")["spec"]
    assert matches(
        budget["selector"], pod_of(find("Deployment", "flight-delays"))["metadata"]["labels"]
    )
    least = find("HorizontalPodAutoscaler", "flight-delays")["spec"]["minReplicas"]
    assert 1 <= budget["maxUnavailable"] < least


def test_every_process_is_bounded_and_owns_nothing() -> None:
    for name, pod in pods():
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for name, box in containers():
        own = box["securityContext"]
        assert own["readOnlyRootFilesystem"] is True and own["capabilities"] == {"drop": ["ALL"]}
        assert own["allowPrivilegeEscalation"] is False
        for what in ("cpu", "memory"):
            asked, most = (box["resources"][part][what] for part in ("requests", "limits"))
            assert 0 < amount(asked) <= amount(most), name


def test_every_process_is_the_user_of_the_image() -> None:
    built = stages((PROJECT / "Dockerfile").read_text(encoding="utf-8"))
    (user,) = {one.rest for stage in built.values() for one in stage if one.name == "USER"}
    for _, pod in pods():
        security = pod["spec"]["securityContext"]
        assert f"{security['runAsUser']}:{security['runAsGroup']}" == user


def policies(labels: Manifest, direction: str) -> Iterator[Manifest]:
    """The rules that hold for a pod in that direction."""
    for _, one in manifests():
        if one["kind"] == "NetworkPolicy" and matches(one["spec"]["podSelector"], labels):
            yield from one["spec"].get(direction, [])


@pytest.mark.parametrize("name", [name for name, _ in pods()])
def test_every_pod_reaches_names_and_redis(name: str) -> None:
    labels = dict(pods())[name]["metadata"]["labels"]
    out = [ports(rule) for rule in policies(labels, "egress")]
    assert {("UDP", 53), ("TCP", 53)} in out and {("TCP", 6379)} in out


def may(source: Manifest, target: Manifest, port: int) -> bool:
    """Whether the policies let a pod of this namespace reach another's port."""

    def picked(peers: list[Manifest] | None, labels: Manifest) -> bool:
        return peers is None or any(
            not peer.get("namespaceSelector") and matches(peer["podSelector"], labels)
            for peer in peers
        )

    out = any(
        ("TCP", port) in ports(rule) and picked(rule.get("to"), target)
        for rule in policies(source, "egress")
    )
    into = any(
        ("TCP", port) in ports(rule) and picked(rule.get("from"), source)
        for rule in policies(target, "ingress")
    )
    return out and into


def test_policies_let_through_what_must_pass_and_nothing_else() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods()}
    way = [(a, b) for a in labels for b in labels if a != b and may(labels[a], labels[b], 9696)]
    assert set(way) == {
        ("flight-delays-router", "flight-delays"),
        ("flight-delays-router", "flight-delays-candidate"),
        ("flight-delays-canary", "flight-delays-router"),
        *((check, api) for check in ("flight-delays-smoke", "flight-delays-load")
          for api in ("flight-delays", "flight-delays-candidate")),
    }  # fmt: skip
    nobody = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert find("NetworkPolicy", "nobody")["spec"] == nobody


def test_prometheus_reaches_what_the_service_monitor_asks() -> None:
    monitor = find("ServiceMonitor", "flight-delays")["spec"]
    watched = [
        one
        for _, one in manifests()
        if one["kind"] == "Service" and matches(monitor["selector"], one["metadata"]["labels"])
    ]
    names = {one["metadata"]["name"] for one in watched}
    assert names == {"flight-delays", "flight-delays-exporter", "flight-delays-stable",
                     "flight-delays-candidate"}  # fmt: skip
    asked = {one["port"] for one in monitor["endpoints"]}
    opened = {
        p for rule in find("NetworkPolicy", "prometheus")["spec"]["ingress"] for _, p in ports(rule)
    }
    for one in watched:
        (port,) = one["spec"]["ports"]
        assert port["name"] in asked
    boxes = [container(name) for name in ("flight-delays", "flight-delays-exporter")]
    assert opened == {p["containerPort"] for box in boxes for p in box["ports"]}


@pytest.mark.long
def test_commands_of_the_pods_exist_and_know_their_options() -> None:
    for name, box in containers():
        command = [str(word) for word in box.get("command", [])]
        if command[:1] != ["python"]:
            continue
        options = {word for word in command if word.startswith("--")}
        end = min((command.index(one) for one in options), default=len(command))
        which = "training" if "training" in box["image"] else "serving"
        told = subprocess.run(
            [python(which), *command[1:end], "--help"], cwd=PROJECT, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        assert options <= set(re.findall(r"--[a-z][\w-]*", told.stdout)), name


def test_retraining_is_weekly_and_materialisation_hourly_and_neither_overlaps() -> None:
    weekly = find("CronJob", "flight-delays-retrain")["spec"]
    hourly = find("CronJob", "flight-delays-materialize")["spec"]
    assert re.fullmatch(r"\d+ \d+ \* \* \d", weekly["schedule"])
    assert re.fullmatch(r"\d+ \* \* \* \*", hourly["schedule"])
    for one in (weekly, hourly):
        assert one["concurrencyPolicy"] == "Forbid" and one["timeZone"] == "Etc/UTC"
        assert one["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 0


def test_the_candidate_is_the_service_but_for_its_label() -> None:
    def bare(name: str) -> str:
        pod = str(pod_of(find("Deployment", name)))
        return pod.replace("'track': 'candidate'", "'track': 'stable'")

    assert bare("flight-delays-candidate") == bare("flight-delays")
    assert find("Deployment", "flight-delays-candidate")["spec"]["replicas"] >= 3


def test_the_canary_takes_the_steps_that_were_announced() -> None:
    command = container("flight-delays-canary", "Job")["command"]
    at = command.index("--steps")
    assert command[at + 1 : at + 4] == ["10", "50", "100"]
    assert command[command.index("--window") + 1] == "600"
    spec = find("Job", "flight-delays-canary")["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] > 3 * 3 * 600, "three steps of up to three windows"
