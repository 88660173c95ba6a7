"""The flights' image: built in a folder, run as its user, asked for its health, ended in order.

No container engine is needed: what the Dockerfile's COPY, RUN, CMD and HEALTHCHECK lines do is
tried for real (tests/flights/image.py). That an engine builds it is for CI to show.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import pytest

from tests.flights.delivery import course_tool, find
from tests.flights.flight_service import KEY, PROJECT, python, stocked
from tests.flights.image import Builder, Context, Image, stages

LARGEST_MB, BASE_MB = 450, 150  # the image as claimed; python:3.13-slim, generously
FLIGHT = {"route": "JFK-LAX", "airline": "AA", "departure_time": "2024-12-31T23:30:00Z",
          "aircraft_type": "A321", "weather_condition": "snow"}  # fmt: skip
STAGES = stages((PROJECT / "Dockerfile").read_text(encoding="utf-8"))
unix = pytest.mark.skipif(sys.platform == "win32", reason="the image is Linux")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every user may read, as pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="flights_image") as name:
        made = Path(name).resolve()
        made.chmod(0o755)
        yield made


@pytest.fixture(scope="module")
def image(folder: Path, pytestconfig: pytest.Config) -> Image:
    """The serving stage; with --full its packages come as the Dockerfile says, through pip."""
    return Builder(PROJECT, folder, quick=not pytestconfig.getoption("full")).build("serving")


@pytest.fixture(scope="module")
def outside(service: Callable[[str], str], folder: Path) -> Iterator[dict[str, str]]:
    """What a cluster gives a container: a store, models, keys and a port."""
    models = folder / "models"
    models.mkdir()
    with stocked(service("redis"), models, trees=20) as given, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.close()
        # In a cluster the jobs that write models are the same user. Here that is us.
        subprocess.run(["chmod", "-R", "a+rX", models], check=True)
        yield {**given, "FLIGHTS_PORT": port}


@pytest.fixture(scope="module")
def container(
    image: Image, outside: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The image's CMD, running and ready."""
    with image.running(folder / "log", **outside) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urlopen(url(outside, "/ready"), timeout=5):
                    break
            except (URLError, OSError):
                time.sleep(0.1)
        else:
            pytest.fail(f"it is not ready:\n{(folder / 'log').read_text()}")
        yield process


def url(outside: dict[str, str], path: str) -> str:
    """Where the container answers."""
    return f"http://127.0.0.1:{outside['FLIGHTS_PORT']}{path}"


def ask(outside: dict[str, str], path: str, body: dict[str, Any]) -> Any:
    """The answer to a POST with a key."""
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    request = Request(url(outside, path), json.dumps(body).encode(), headers)
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint has no package for Windows")
def test_hadolint_finds_nothing() -> None:
    found = course_tool("hadolint", "Dockerfile")
    assert found.returncode == 0, found.stdout


def test_stages_are_slim_and_pinned_and_the_last_one_is_the_service() -> None:
    assert list(STAGES)[-1] == "serving" and len(STAGES) == 4
    for stage in STAGES.values():
        assert re.match(r"python:3\.(11|12|13)-slim AS ", stage[0].rest)


@pytest.mark.parametrize("name", ["serving", "training"])
def test_nobody_in_it_is_root_nor_has_a_name_to_look_up(name: str) -> None:
    after = [one.name for one in STAGES[name]].index("USER")
    user = STAGES[name][after].rest
    assert re.fullmatch(r"([1-9]\d{3,}):\1", user)
    assert {one.name for one in STAGES[name][after:]} <= {"USER", "EXPOSE", "HEALTHCHECK", "CMD"}


def test_packages_are_layers_that_the_code_does_not_touch() -> None:
    for name in ("builder", "training-builder"):
        copied = [one.rest for one in STAGES[name] if one.name == "COPY"]
        assert len(copied) == 1 and "requirements.txt" in copied[0]
    for name in ("serving", "training"):
        copied = [one.rest for one in STAGES[name] if one.name == "COPY"]
        assert copied[0].startswith("--from=") and copied[-1] == "src src"


@pytest.mark.parametrize(
    "path",
    [".env", "data/raw/flights.parquet", "models/v1/bundle.json", "mlruns.db", "reports/x.html",
     "environments/serving/.venv/bin/python", "src/__pycache__/api.cpython-313.pyc",
     "k8s/secret.yaml", "tests/test_api.py", "src/service/__pycache__/app.cpython-311.pyc"],
)  # fmt: skip
def test_neither_data_nor_secrets_are_sent_to_a_build(path: str) -> None:
    assert not Context(PROJECT).has(path)


def test_the_service_is_sent_to_a_build() -> None:
    context = Context(PROJECT)
    assert context.has("src/service/page/index.html") and context.has("features/vector.py")
    assert context.has("environments/serving/requirements.txt")


@unix
def test_it_predicts_as_a_user_who_owns_nothing(
    container: subprocess.Popen[bytes], outside: dict[str, str]
) -> None:
    answer = ask(outside, "/predict", FLIGHT)
    assert answer["delay_minutes"] > -60 and answer["model_version"]
    parts = ask(outside, "/explain", FLIGHT)["parts"]
    assert parts, "XGBoost's own library is needed for that"
    if psutil.Process().uids().real == 0:
        assert psutil.Process(container.pid).uids().real == 10001


@unix
def test_the_smoke_test_in_it_asks_it_everything(
    image: Image, container: subprocess.Popen[bytes], outside: dict[str, str]
) -> None:
    def smoke(*more: str) -> subprocess.CompletedProcess[str]:
        command = ["python", "tests/smoke_test.py", "--url", url(outside, ""), *more]
        return image.ask(command, PYTHONPATH="/app")

    good = smoke("--key", KEY)
    assert good.returncode == 0, good.stderr
    assert "p99 of 200 predictions" in good.stdout and "422  /predict" in good.stdout
    assert "answered 401" in smoke("--key", "another").stderr
    assert "over 0.001" in smoke("--key", KEY, "--p99", "0.001").stderr
    print(good.stdout.splitlines()[-1])


@unix
def test_the_load_test_in_it_starts(
    image: Image, container: subprocess.Popen[bytes], outside: dict[str, str]
) -> None:
    command = ["python", "tests/load_test.py", "--duration", "1s", "--rps", "50"]
    asked = image.ask([*command, "--url", url(outside, ""), "--key", KEY], PYTHONPATH="/app")
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert "'200': 50" in asked.stdout


@unix
def test_its_health_check_tells_a_living_service_from_none(
    image: Image, container: subprocess.Popen[bytes], outside: dict[str, str]
) -> None:
    asked = image.ask(image.healthcheck, FLIGHTS_PORT=outside["FLIGHTS_PORT"])
    assert asked.returncode == 0 and '"healthy"' in asked.stdout
    nobody = image.ask(image.healthcheck, FLIGHTS_PORT="9")
    assert nobody.returncode == 1 and "does not answer" in nobody.stderr


@unix
def test_it_fits_the_memory_that_it_is_given(
    container: subprocess.Popen[bytes], outside: dict[str, str]
) -> None:
    flights = [FLIGHT] * 1000
    for _ in range(5):
        ask(outside, "/predict-batch", {"flights": flights})
        ask(outside, "/explain", FLIGHT)
    used = psutil.Process(container.pid).memory_info().rss / 2**20
    print(f"resident: {used:.0f} MiB")
    limits = find("Deployment", "flight-delays")["spec"]["template"]["spec"]["containers"][0]
    assert limits["resources"]["requests"]["memory"] == "512Mi"
    # Beyond 80 % of what it asks for, the autoscaler would add replicas without any load.
    assert used < 0.8 * 512


@unix
def test_it_writes_nothing_beside_what_it_is(
    container: subprocess.Popen[bytes], image: Image
) -> None:
    late = Path(f"/proc/{container.pid}").stat().st_ctime if sys.platform == "linux" else 0
    newer = [one for one in image.root.rglob("*") if one.lstat().st_mtime > late > 0]
    assert newer == []


@unix
def test_without_keys_it_does_not_start(
    image: Image, outside: dict[str, str], folder: Path
) -> None:
    without = {name: text for name, text in outside.items() if name != "FLIGHTS_API_KEYS"}
    with image.running(folder / "refusal", **without) as process:
        assert process.wait(30) == 1
    assert "set FLIGHTS_API_KEYS" in (folder / "refusal").read_text()


@unix
def test_its_size(image: Image) -> None:
    """Files of the image plus the base; without compiled files when they came through uv."""
    files = [one.lstat() for one in image.root.rglob("*") if not one.is_dir()]
    own = sum(one.st_blocks * 512 for one in files) / 1e6
    print(f"packages and code {own:.0f} MB, with the base about {own + BASE_MB:.0f} MB")
    assert own + BASE_MB < LARGEST_MB
    assert not list((image.root / "opt").rglob("site-packages/pip")), "no installer in it"


@unix
@pytest.mark.parametrize(
    "command",
    [
        "src/materialize.py",
        *(pytest.param(f"src/{name}.py", marks=pytest.mark.long)
          for name in ("retrain", "stream", "registry")),
    ],
)  # fmt: skip
def test_the_jobs_image_has_the_files_that_its_commands_import(command: str, folder: Path) -> None:
    interpreter = python("training")  # 2 GB of packages: the ones that are here stand in
    home = folder / f"jobs_{Path(command).stem}"
    home.mkdir()
    builder, image = Builder(PROJECT, home, quick=True), Image(home / "training")
    for one in STAGES["training"]:
        if one.name in ("ENV", "WORKDIR") or (one.name == "COPY" and "--from" not in one.rest):
            builder.carry_out(one, image)
    asked = subprocess.run(
        [interpreter, "-P", command, "--help"], cwd=image.at("/app"), capture_output=True,
        env={"PYTHONPATH": str(image.at("/app")), "PATH": "/usr/bin:/bin"}, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    shutil.rmtree(home)


@unix
def test_asked_to_end_it_ends_at_once_and_in_order(
    container: subprocess.Popen[bytes], outside: dict[str, str], folder: Path
) -> None:
    for _ in range(5):  # leaves thousands of notes that are not in Redis yet
        ask(outside, "/predict-batch", {"flights": [FLIGHT] * 1000})
    start = time.monotonic()
    container.send_signal(signal.SIGTERM)
    assert container.wait(20) == 0
    assert time.monotonic() - start < 10
    assert "Traceback" not in (folder / "log").read_text()
