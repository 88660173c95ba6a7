"""What the service is told from outside: read, checked, and named when it makes no sense."""

from __future__ import annotations

import pytest

from src.service.settings import Settings, from_environment


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("FLIGHTS_API_KEYS", "nokey", "holder=key"),
        ("FLIGHTS_REQUESTS_PER_MINUTE", "0", "1 or more"),
        ("FLIGHTS_TIMEOUT_SECONDS", "-1", "more than 0"),
        ("LOG_LEVEL", "loud", "debug, info"),
        ("FLIGHTS_PORT", "70000", "65535"),
        ("FLIGHTS_COST_PER_HOUR", "-1", "0 dollars or more"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, says: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValueError, match=variable) as caught:
        from_environment()
    assert says in str(caught.value)


def test_the_demo_key_stays_on_this_machine() -> None:
    with pytest.raises(ValueError, match="FLIGHTS_API_KEYS"):
        from_environment(host="0.0.0.0")
    assert Settings(host="0.0.0.0", api_keys={"k": "me"}).host == "0.0.0.0"


def test_params_set_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FLIGHTS_REQUESTS_PER_MINUTE", "FLIGHTS_TIMEOUT_SECONDS", "FLIGHTS_PORT"):
        monkeypatch.delenv(variable, raising=False)
    found = from_environment()
    assert (found.port, found.requests_per_minute, found.timeout_seconds) == (9696, 1000, 30)
