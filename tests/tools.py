"""Programs that tests use and no wheel carries: found on PATH, or installed where allowed."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from course.stack.install import APT_GET, alone_on_this_machine, no_service_starts

DEBIAN_PACKAGE = {
    "chromium": "chromium",
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
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
    package = DEBIAN_PACKAGE.get(name)
    if shutil.which(name) is None and package and may_install():
        with alone_on_this_machine(), no_service_starts():
            if shutil.which(name) is None:  # meanwhile another may have installed it
                install(package)
    return shutil.which(name)


def install(package: str) -> None:
    """Install a Debian package, as root."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
        subprocess.run([*APT_GET, *command], env=environment, check=False)
