"""The five tiers, and who decides which one it is."""

import argparse
from dataclasses import FrozenInstanceError

import config_advanced
import pytest

from course.errors import UsageError
from course.lesson import make_parser


def arguments(*words: str) -> argparse.Namespace:
    parser = make_parser("text", "program")
    config_advanced.options(parser)
    return parser.parse_args(words)


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(config_advanced.VARIABLE, raising=False)


def test_there_are_five_tiers_and_production_has_a_million() -> None:
    names = ["development", "test", "staging", "production", "benchmark"]
    assert list(config_advanced.TIERS) == names
    assert config_advanced.load().tier == "production"
    production = config_advanced.load("production")
    assert production.rows == production.transactions == production.products == 1_000_000
    assert production.cache_bytes == 128 * 1024 * 1024
    assert [config.tier for config in config_advanced.TIERS.values()] == names
    sizes = [config_advanced.load(name).rows for name in names]
    assert sizes == [50_000, 20_000, 250_000, 1_000_000, 10_000_000]


def test_a_tier_is_fixed() -> None:
    with pytest.raises(FrozenInstanceError):
        config_advanced.load().rows = 1  # type: ignore[misc]


def test_option_before_variable_before_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = config_advanced.chosen
    assert chosen(arguments()).tier == "production"
    assert chosen(arguments("--fast")).tier == "test"
    monkeypatch.setenv(config_advanced.VARIABLE, "staging")
    assert chosen(arguments()).tier == chosen(arguments("--fast")).tier == "staging"
    assert chosen(arguments("--tier", "benchmark", "--fast")).tier == "benchmark"


def test_rows_replace_the_size_of_the_lesson_only() -> None:
    config = config_advanced.chosen(arguments("--rows", "7"), "products")
    assert (config.products, config.rows) == (7, 1_000_000)


def test_an_unknown_tier_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(config_advanced.VARIABLE, "moon")
    with pytest.raises(UsageError, match=r"'moon' is no tier.*development.*benchmark"):
        config_advanced.chosen(arguments("--fast"))
    with pytest.raises(SystemExit):
        arguments("--tier", "moon")
    with pytest.raises(SystemExit):
        arguments("--rows", "0")
