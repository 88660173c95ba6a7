"""Programs that tests use and no wheel carries: found on PATH, or installed where allowed."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from course.stack.install import APT_GET, alone_on_this_machine, no_service_starts

DEBIAN_PACKAGES = {
    "chromium": "chromium",
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "hunspell": "hunspell hunspell-uk",
}


def may_install() -> bool:
    """Whether this is Debian or Ubuntu and we are root."""
    return (
        sys.platform == "linux"
        and os.geteuid() == 0
        and Path("/etc/debian_version").exists()
        and shutil.which("apt-get") is not None
    )


@cache
def find_tool(name: str) -> str | None:
    """The path of the program `name`, installed first if need be and allowed; None without it."""
    packages = DEBIAN_PACKAGES.get(name)
    if shutil.which(name) is None and packages and may_install():
        with alone_on_this_machine(), no_service_starts():
            if shutil.which(name) is None:  # meanwhile another may have installed it
                install(packages.split())
    return shutil.which(name)


def install(packages: list[str]) -> None:
    """Install Debian packages, as root."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run([*APT_GET, *command], env=environment, check=False)
