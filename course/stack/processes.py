"""Processes that outlive the script that started them: begin, recognise, end."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


def birth(pid: int) -> float | None:
    """When process `pid` began, in the system's own measure; None when it has ended.

    A pid alone does not identify a process: numbers are used again. Linux tells the birth in one
    file, unmoved by clock changes; psutil, which knows the other systems, costs 60 ms to import.
    """
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if fields[0] in b"ZX" else float(fields[19])
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def launch(
    command: Sequence[str | Path], folder: Path, log: Path, env: dict[str, str] | None = None
) -> int:
    """Start `command` in `folder` so that it survives us, its output in `log`; returns its pid.

    It gets a session of its own (closing the terminal does not end it) and none of our pipes (who
    captures our output does not wait for the server to end).
    """
    import subprocess

    with log.open("ab") as output:
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
            process = subprocess.Popen(
                command, cwd=folder, env=env, creationflags=flags,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        else:
            process = subprocess.Popen(
                command, cwd=folder, env=env, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
    process.returncode = 0  # it is meant to outlive this object, which would warn otherwise
    return process.pid


def standing_in(folder: Path, programs: Sequence[str]) -> "list[psutil.Process]":
    """The running `programs` whose working directory is inside `folder`.

    Every server of the course stands in a folder of its own, and so do its helpers: this finds them
    when nothing was written down, or what was written down is lost. A shell or an editor that
    happens to stand there is none of the `programs` (names of executables, or of Python modules).
    """
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            place = Path(process.cwd())
            if folder in (place, *place.parents) and birth(process.pid) is not None:
                words = {process.name().removesuffix(".exe"), *process.cmdline()[1:]}
                if not words.isdisjoint(programs):
                    found.append(process)
    return found


def end(processes: "Sequence[psutil.Process]", patience: float) -> None:
    """Ask the processes to end; those that still run after `patience` seconds are killed."""
    import psutil

    if sys.platform == "win32":  # where nobody is asked, and children do not notice
        with suppress(psutil.Error):
            family = [child for each in processes for child in each.children(recursive=True)]
            processes = [*processes, *family]
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=patience)
    for process in stubborn:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=5)


def bury(pid: int) -> None:
    """Let the system forget a child of ours that has ended (a zombie until somebody asks)."""
    if sys.platform != "win32":
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log file, or a word on its absence."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(no log was written)"
    return "\n".join(text.strip().splitlines()[-lines:]) or "(the log is empty)"
