"""Stop the pipeline when the data isn't what the models were made for, and say where it isn't.

    python src/validate.py

Checks data/processed/flights.parquet, data/raw/weather.parquet and data/raw/airlines.parquet
against the rules in src/expectations.py. Writes reports/validation.md for people and
reports/validation.json for programs; exits 1 when a rule is broken, which ends `dvc repro` there.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pandera.errors import SchemaErrors
from pandera.pandas import DataFrameSchema

from src import expectations, params, paths

FIRST = 3  # rows shown for each broken rule
SOURCES = {
    "flights": "python src/preprocess.py",
    "weather": "python src/simulate.py",
    "airlines": "python src/simulate.py",
}


class ValidateError(Exception):
    """There is nothing to check; the text says what to do."""


@dataclass(frozen=True)
class Broken:
    """One rule that does not hold: for which column, in how many rows, and the first of them.

    `column` is empty for a rule about several columns, `rows` 0 for one about the whole table.
    """

    column: str
    rule: str
    rows: int
    first: list[dict[str, str]]


@dataclass(frozen=True)
class Result:
    """What was found in one table; `notes` are no faults."""

    table: str
    rows: int
    rules: int
    broken: list[Broken]
    notes: list[str] = field(default_factory=list)


def check(table: pd.DataFrame, schema: DataFrameSchema) -> Result:
    """All rules of `schema` for `table`, not only up to the first that is broken."""
    rules = sum(1 + len(column.checks) for column in schema.columns.values())
    broken: list[Broken] = []
    try:
        with warnings.catch_warnings():  # pandera joins failures in a way that pandas will change
            warnings.simplefilter("ignore", FutureWarning)
            schema.validate(table, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        lacking = set(schema.columns) - set(table)
        # A rule about whole rows is told for each of their columns: here it is one rule.
        whole = cases["schema_context"] == "DataFrameSchema"
        named = cases["check"].isin(["column_in_dataframe"]) | ~whole
        cases["about"] = cases["column"].where(named, "")
        for (about, rule), found in cases.groupby(["about", "check"], sort=False, dropna=False):
            if rule == "column_in_dataframe":
                missing = sorted(found["failure_case"].astype(str))
                broken += [Broken(column, "the column is there", 0, []) for column in missing]
            elif not lacking & set(columns_of(str(rule), schema)):
                broken.append(broken_rule(table, schema, str(about), str(rule), found))
    order = [*schema.columns, ""]
    broken.sort(key=lambda fault: (order.index(fault.column), fault.rule))
    return Result(str(schema.name), len(table), rules + len(schema.checks), broken)


def columns_of(rule: str, schema: DataFrameSchema) -> list[str]:
    """The columns that a rule's words name, in their order."""
    words = rule.replace(":", " ").split()
    return [word for word in words if word in schema.columns]


def broken_rule(
    table: pd.DataFrame, schema: DataFrameSchema, column: str, rule: str, found: pd.DataFrame
) -> Broken:
    """What pandera found, in words; `found` are its failure cases."""
    named = [column] if column else columns_of(rule, schema)
    main = named[0] if named else ""
    if rule.startswith("dtype("):
        wanted = rule.removeprefix("dtype('").removesuffix("')")
        return Broken(main, f"is of type {wanted}, not {table[column].dtype}", 0, [])
    index = pd.Index(found["index"].dropna().unique()).sort_values()
    if rule == "field_uniqueness":
        index = table.index[table[column].duplicated()]
    words = {"not_nullable": "is there", "field_uniqueness": "is there once"}.get(rule, rule)
    return Broken(main, words, len(index), first_rows(table, index, named))


def first_rows(table: pd.DataFrame, index: pd.Index, named: list[str]) -> list[dict[str, str]]:
    """The first broken rows: what tells the row from others, and the columns of the rule."""
    keys = [name for name in ("flight_id", "airport", "airline", "time", "day") if name in table]
    one = keys[:1] if "flight_id" in table else keys
    shown = list(dict.fromkeys([*one, *named]))
    rows = table.loc[index[:FIRST], shown].to_dict("records")
    return [{name: in_words(value) for name, value in row.items()} for row in rows]


def in_words(value: object) -> str:
    """A cell as the report shows it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def rows_in_words(count: int) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def notes(tables: dict[str, pd.DataFrame]) -> dict[str, list[str]]:
    """What is allowed and worth knowing, by table."""
    flights, weather = tables["flights"], tables["weather"]
    said: dict[str, list[str]] = {name: [] for name in tables}
    if "aircraft_type" in flights:
        unknown = float((flights["aircraft_type"] == expectations.NO_TYPE).mean())
        if unknown:
            said["flights"].append(f"aircraft_type is unknown for {unknown:.1%} of the flights")
    if weather.empty:
        said["weather"].append("there is no weather: the models do with its usual values")
    return said


def validate(tables: dict[str, pd.DataFrame], chosen: dict[str, Any]) -> list[Result]:
    """The result for each table."""
    remarks = notes(tables)
    results = []
    for name, schema in expectations.schemas(chosen).items():
        found = check(tables[name], schema)
        results.append(Result(name, found.rows, found.rules, found.broken, remarks[name]))
    return results


def read() -> dict[str, pd.DataFrame]:
    """The tables to check, by name.

    Raises:
        ValidateError: one is missing.
    """
    files = {
        "flights": paths.processed() / "flights.parquet",
        "weather": paths.raw() / "weather.parquet",
        "airlines": paths.raw() / "airlines.parquet",
    }
    for name, file in files.items():
        if not file.exists():
            raise ValidateError(f"{file} is missing. Make it with `{SOURCES[name]}`.")
    return {name: pd.read_parquet(file) for name, file in files.items()}


def as_markdown(results: list[Result]) -> str:
    """The report for people."""
    faults = sum(len(result.broken) for result in results)
    verdict = "all rules hold" if not faults else f"{faults} broken, the pipeline stops"
    lines = [f"# Data validation: {verdict}", "", "| table | rows | rules | broken |"]
    lines += ["|---|---:|---:|---:|"]
    lines += [f"| {r.table} | {r.rows:,} | {r.rules} | {len(r.broken)} |" for r in results]
    for result in results:
        lines += ["", *(f"Note on {result.table}: {note}." for note in result.notes)]
        for fault in result.broken:
            lines += ["", *fault_in_markdown(result.table, fault)]
    text = "\n".join(lines).rstrip() + "\n"
    return text.replace("\n\n\n", "\n\n")


def fault_in_markdown(table: str, fault: Broken) -> list[str]:
    """One broken rule with its first rows."""
    lines = [f"## {where(table, fault)}", "", f"Rule: {fault.rule}."]
    if fault.rows:
        lines.append(f"Broken by {rows_in_words(fault.rows)}. The first:")
    if fault.first:
        names = list(fault.first[0])
        lines += ["", f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
        lines += [f"| {' | '.join(row.values())} |" for row in fault.first]
    return lines


def where(table: str, fault: Broken) -> str:
    """`flights.airline`, or the table alone."""
    return f"{table}.{fault.column}" if fault.column else table


def as_text(results: list[Result]) -> str:
    """The report for a terminal."""
    lines = []
    for result in results:
        sign = "BROKEN" if result.broken else "ok"
        lines.append(f"{sign:6} {result.table:9} {result.rows:>9,} rows, {result.rules} rules")
        lines += [f"       note: {note}" for note in result.notes]
        for fault in result.broken:
            rows = f": {rows_in_words(fault.rows)}" if fault.rows else ""
            lines.append(f"       {where(result.table, fault)} must hold: {fault.rule}{rows}")
            for row in fault.first:
                lines.append("         " + ", ".join(f"{k}={v}" for k, v in row.items()))
    return "\n".join(lines)


def write(results: list[Result], folder: Path) -> None:
    """Both reports, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "validation.md").write_text(as_markdown(results), encoding="utf-8")
    passed = not any(result.broken for result in results)
    report = {"passed": passed, "tables": [asdict(result) for result in results]}
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    (folder / "validation.json").write_text(text, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Check the tables; 1 when a rule is broken or a table is missing."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    try:
        results = validate(read(), params.load())
    except (ValidateError, params.ParamsError) as error:
        print(error, file=sys.stderr)
        return 1
    write(results, paths.reports())
    print(as_text(results))
    if not any(result.broken for result in results):
        return 0
    print(
        f"\nThe pipeline stops here: {paths.shown(paths.reports() / 'validation.md')} names the "
        "broken rules.\nMend the data where it comes from, or the rule in src/expectations.py "
        "if the world has changed.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
