"""What all tests share: options, seeds, tools, and the servers' last words after a failure."""

import random
import signal
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest

from course import connect, settings, stack
from course.errors import ServiceUnavailable
from tests.tools import find_tool

SEEDS, SEEDS_OF_FULL = 3, 20
USE_SERVICES = {"service", "course_data_unchanged"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="the full counts of the fault tests")
    parser.addoption("--skips-fail", action="store_true", help="a skipped test is a failure")
    parser.addoption("--seed", type=int, help="replay the fault that a failure printed")
    parser.addoption("--renew-transcripts", action="store_true", help="write the transcripts anew")


def pytest_configure(config: pytest.Config) -> None:
    """Make tests independent of how they were started, and of how busy the machine is."""
    # Started in the background, a program may inherit that it ignores Ctrl-C: tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes says more about the other workers than about the code. The same
    # examples each time: who changes nothing sees no failure. `--full` looks for new ones.
    hypothesis.settings.register_profile(
        "course",
        deadline=None,
        derandomize=not config.getoption("full"),
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("course")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test with an argument `seed` several of them; the failing one stands in its name."""
    if "seed" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("seed")
        count = SEEDS_OF_FULL if metafunc.config.getoption("full") else SEEDS
        metafunc.parametrize("seed", [chosen] if chosen is not None else range(count))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With workers, keep together what belongs together."""
    if config.getoption("dist") != "loadgroup":
        return None
    from tests.side_by_side import ByGroup

    return ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only --full wants; in a worker, begin with the groups that take longest."""
    long = [item for item in items if item.get_closest_marker("long")]
    if long and not config.getoption("full"):
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)
    if hasattr(config, "workerinput"):
        from tests.side_by_side import place

        items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With --skips-fail, turn a skip into a failure; add the servers' last words to a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and item.config.getoption("skips_fail") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which --strict does not allow: {report.longrepr}"
    if report.failed and USE_SERVICES & set(getattr(item, "fixturenames", ())):
        for service in services_of(item):
            log = stack.logs(service)
            if log and log.exists():
                lines = log.read_text(errors="replace").splitlines()[-15:]
                report.sections.append((f"end of {service}'s log", "\n".join(lines)))


def services_of(item: pytest.Item) -> tuple[str, ...]:
    """The services that a test may have used: its lesson's, or any."""
    callspec = getattr(item, "callspec", None)
    entry = callspec.params.get("entry") if callspec else None
    return entry.services if entry else settings.SERVICES


@pytest.fixture
def rng(seed: int) -> random.Random:
    """Randomness that the seed in the test's name replays (--seed N)."""
    return random.Random(seed)


@pytest.fixture(scope="session")
def service() -> Callable[[str], str]:
    """The URL of a service by name, course data loaded; skips aloud when it can't be had."""

    def url(name: str) -> str:
        try:
            (endpoint,) = connect.prepare([name])
            return endpoint.url
        except ServiceUnavailable as error:
            pytest.skip(str(error))

    return url


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """The path of a program by name; installs it where it may, otherwise skips aloud."""

    def path(name: str) -> str:
        found = find_tool(name)
        if found is None:
            pytest.skip(f"{name} is not here and can't be installed without being root on Debian")
        return found

    return path
