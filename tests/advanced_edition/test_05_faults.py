"""The batch pipeline as a program: killed with -9 anywhere, wrong options, exit codes."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from batch_etl import generate, shop_api
from batch_etl.classroom import command, fingerprint, finish, rows_committed
from batch_etl.generate import Files

from tests.support import run_python

ROWS, KILLS = 15_000, 4  # 20 seeds of --full make 80 points; two of three find it at work
DAY = "2025-10-26"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return generate.make(tmp_path_factory.mktemp("sources"), ROWS, 6)


def options(files: Files, url: str) -> list[str | Path]:
    return ["--csv", files.csv, "--json-lines", files.json_lines, "--api", url,
            "--commit-rows", "300"]  # fmt: skip


@pytest.mark.faults
def test_killed_anywhere_a_rerun_equals_one_run(
    files: Files, tmp_path: Path, rng: random.Random
) -> None:
    with shop_api.serving(files.api) as api:
        chosen = options(files, api.url)
        duration = killed_after(60, tmp_path / "whole.db", *chosen)
        whole = fingerprint(tmp_path / "whole.db")
        for number in range(KILLS):
            target, before = tmp_path / f"killed_{number}.db", 0
            for _ in range(rng.choice([1, 1, 2])):  # the rerun may be killed as well
                killed_after(rng.uniform(0, duration), target, *chosen)
                assert rows_committed(target) >= before, "what was committed stays"
                before = rows_committed(target)
            finish(target, DAY, *chosen)
            assert fingerprint(target) == whole


def killed_after(seconds: float, target: Path, *chosen: str | Path) -> float:
    """Start the pipeline, wait until it has imported all, and kill it after `seconds`.

    Returns how long it ran after the imports: less than `seconds` when it was done before.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(command(target, DAY, *chosen), stderr=pipe, stdout=pipe) as process:
        assert process.stderr and process.stderr.readline() == b"started\n"
        begin = time.monotonic()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        return time.monotonic() - begin


def test_exit_codes_and_messages(files: Files, tmp_path: Path) -> None:
    target = str(tmp_path / "a.db")
    base = ["-m", "batch_etl", "--target", target, "--run", DAY]
    assert run_python(*base).returncode == 2
    twice = run_python(*base, "--csv", files.csv, "--csv", files.csv)
    assert twice.returncode == 2 and "same name" in twice.stderr
    missing = run_python(*base, "--csv", "no_such.csv")
    assert missing.returncode == 1 and "can't be read" in missing.stderr
    assert "Traceback" not in missing.stderr
    good = run_python(*base, "--csv", files.csv, "--json")
    assert good.returncode == 0 and '"balances": true' in good.stdout
    stopped = run_python(*base[:-1], "x", "--json-lines", files.csv, "--stop-above", "0.5")
    assert stopped.returncode == 1 and "taken back" in stopped.stderr
    flood = run_python(*base[:-1], "y", "--json-lines", files.csv)
    assert flood.returncode == 3 and "CRITICAL quarantine flood" in flood.stdout
    assert run_python(*base[:-1], "y", "--undo").returncode == 0
    again = run_python(*base[:-1], "y", "--undo")
    assert again.returncode == 1 and "no run 'y'" in again.stderr


def test_the_lesson_refuses_too_few_rows() -> None:
    done = run_python("advanced_edition/05_etl_data_pipeline.py", "--rows", "10")
    assert done.returncode == 2 and "10,000" in done.stderr


def test_no_other_package_is_imported() -> None:
    code = (
        "import sys, batch_etl.__main__, batch_etl.classroom, batch_etl.warehouse, "
        "batch_etl.generate; "
        "names = {n.partition('.')[0] for n in sys.modules}; "
        "print(sorted(names - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True,
                          cwd="advanced_edition", check=False)  # fmt: skip
    assert done.stdout.strip() in ("['__main__', 'batch_etl']", "['batch_etl']"), done.stderr
