"""docs/ROLLOUT.md followed to the letter, but for ports of our own and shorter windows."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from course.stack.ports import any_free_port
from tests.flights.flight_service import PROJECT, python, stocked
from tests.flights.rollout_world import status, until

GUIDE = PROJECT / "docs" / "ROLLOUT.md"
BASH = re.compile(r"```bash\n(.*?)```", re.DOTALL)
PORTS = ("9695", "9696", "9698")
SHORTER = " --window 2 --windows 30 --without-accuracy --report report.json"

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("flight_rollout")]


def test_the_guide_brings_a_version_to_all_users(
    service: Callable[[str], str], tmp_path: Path
) -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    for port in PORTS:
        guide = guide.replace(port, str(any_free_port()))
    candidate, four, traffic, promote = BASH.findall(guide)[:4]
    for name in ("environments", "tests"):
        (tmp_path / name).symlink_to(PROJECT / name)
    with stocked(service("redis"), tmp_path / "unused", trees=5) as given, ExitStack() as ends:
        made = "import tiny_model; from pathlib import Path; [tiny_model.model(Path({!r}), name) "
        made = made.format(str(tmp_path / "models")) + "for name in ('v2', 'v1')]"
        subprocess.run([python("training"), "-c", made], cwd=PROJECT / "tests", check=True)
        env = {**os.environ, **given, "FLIGHTS_HOME": str(tmp_path)}
        # What `learn.py url redis` and the keys are for in the guide; the key is its own.
        env |= {"MODEL_PATH": str(tmp_path / "models"), "FLIGHTS_API_KEYS": "demo=demo-key"}
        subprocess.run(["bash", "-ec", candidate], cwd=tmp_path, env=env, check=True)
        *servers, canary = [line.partition("  #")[0] for line in four.strip().splitlines()]
        for number, line in enumerate((*servers, traffic.strip())):
            log = ends.enter_context((tmp_path / f"{number}.log").open("wb"))
            process = subprocess.Popen(
                ["bash", "-c", line.replace("MODEL_PATH=", "exec env MODEL_PATH=", 1)
                 if line.startswith("MODEL_PATH") else f"exec {line}"],
                cwd=tmp_path, env=env, stdout=log, stderr=log,
            )  # fmt: skip
            ends.callback(process.wait)
            ends.callback(process.terminate)
            if number < len(servers):
                until(lambda file=log.name: " listens on " in Path(file).read_text(), line)
        done = subprocess.run(
            ["bash", "-c", canary + SHORTER], cwd=tmp_path, env=env, capture_output=True,
            text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        url = canary.split()[-1]
        assert status(url)["share"] == 1.0 and status(url)["sides"]["candidate"]["version"] == "v2"
        back = next(line for line in promote.splitlines() if line.startswith("curl"))
        subprocess.run(["bash", "-c", back], env=env, check=True, capture_output=True)
        assert status(url)["share"] == 0.0
        assert httpx.get(f"{url}/health").headers["X-Model-Side"] == "stable"
