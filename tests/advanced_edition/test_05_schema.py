"""What a row must be: each field has its rule, and a refusal names field, value and rule."""

import pytest
from batch_etl import InvalidRowError, enrich, validate
from batch_etl.schema import NAMES

GOOD = ["17", "1", "2025-10-20", "anna@example.com", "UA", "P001", "2", "999.00"]


def with_field(name: str, value: str) -> list[str]:
    return [value if field == name else good for field, good in zip(NAMES, GOOD, strict=True)]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("order_id", ["", "0", "-1", "1_000", "1.0", "١", "9" * 13, "9" * 5000]),
        ("revision", ["0", "1001", "x"]),
        ("ordered_on", ["2025-02-30", "03/04/2025", "20251020", "2025-10-27", "1999-01-01", "²"]),
        (
            "email",
            ["", "a@b", "a b@c.de", "a@b.c\n@d.e f", "\udcff@example.com", "a" * 300 + "@b.c"],
        ),
        ("country", ["", "XX", "U"]),
        ("product", ["P000", "P301", "1"]),
        ("quantity", ["0", "-2", "2.5", "1001", "nan"]),
        ("price", ["0", "0.00", "-1", "1.999", "1e3", "1 000", "NaN", "$5"]),
    ],
)
def test_a_refusal_names_field_value_and_rule(field: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(InvalidRowError) as caught:
            validate(with_field(field, value))
        ((name, found, rule),) = caught.value.faults
        assert (name, found) == (field, value)
        assert rule in str(caught.value)
        str(caught.value).encode()  # can be stored


@pytest.mark.parametrize(
    ("field", "value", "clean"),
    [
        ("order_id", " 17 ", 17),
        ("ordered_on", "1.9.2025", "2025-09-01"),
        ("email", " Anna@Example.com ", "anna@example.com"),
        ("country", "ukraine", "UA"),
        ("product", "p001 ", "P001"),
        ("price", "19,9", 1990),
        ("price", "19", 1900),
    ],
)
def test_cleaning_takes_what_is_sure(field: str, value: str, clean: object) -> None:
    assert validate(with_field(field, value))[NAMES.index(field)] == clean


def test_enrichment_rounds_half_up_and_looks_at_two_fields_together() -> None:
    assert enrich(validate(GOOD))[-3:] == ("Eastern Europe", "electronics", 4096)
    with pytest.raises(InvalidRowError, match="order value"):
        enrich(validate([*GOOD[:4], "DE", "P001", "1000", "51.00"]))


def test_all_broken_fields_at_once_and_the_number_of_fields() -> None:
    with pytest.raises(InvalidRowError) as caught:
        validate(["x", *GOOD[1:6], "0", "free"])
    assert [name for name, *_ in caught.value.faults] == ["order_id", "quantity", "price"]
    for row in (GOOD[:7], [*GOOD, ""]):
        with pytest.raises(InvalidRowError, match="fields"):
            validate(row)
