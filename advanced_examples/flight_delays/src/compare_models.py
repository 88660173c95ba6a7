"""Compare the models: with each other, with the best reachable, and with what was once claimed.

    python src/compare_models.py

Reads metrics/evaluation.json. Writes reports/comparison.md and metrics/comparison.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from src import paths
from src.model_card import NAMES, TOP, percent, table

BEST = "best reachable"
WITHIN = 0.10
# Figures that this project was announced with. They belong to other data, and nobody here can
# check them: they stand beside ours to be told apart, not to be beaten.
CLAIMED: Mapping[str, tuple[float, float | None, float | None]] = {
    "baseline": (45.0, None, None),
    "xgboost": (12.3, 28.5, 0.78),
    "network": (11.8, 27.2, 0.80),
    "ensemble": (11.5, 26.8, 0.81),
}
TEXT = """# Models compared

Version {version}, {flights:,} test flights, {first} to {last}.

{models}

The claimed figures are MAE, RMSE and R² **of other data**, as this project was announced. They say
nothing about ours: an error can be compared only on the same flights.

{verdicts}

## By airline: MAE, RMSE, R²

{airlines}

## By route: MAE, RMSE, R²

{routes}

## The ten inputs that matter most

{importance}
"""


class CompareError(Exception):
    """There is nothing to compare; the text says what to do."""


def read() -> dict[str, Any]:
    """The evaluation's figures.

    Raises:
        CompareError: the model hasn't been evaluated.
    """
    file = paths.metrics() / "evaluation.json"
    if not file.exists():
        raise CompareError(f"{file} is missing. Make it with `python src/evaluate.py`.")
    return json.loads(file.read_text(encoding="utf-8"))


def models(figures: Mapping[str, Any]) -> str:
    """All models on all test flights, with size, training time and the claimed figures."""
    rows = []
    for name, row in figures["models"].items():
        size, took = figures["size_bytes"].get(name), figures["training_seconds"].get(name)
        claim = CLAIMED.get(name)
        rows.append(
            [
                NAMES[name],
                *three(row),
                percent(row["over_best"], sign=True),
                percent(row["share"]),
                f"{size / 1e6:.2f} MB" if size else "",
                f"{took:.1f} s" if took is not None else "",
                "" if claim is None else " / ".join(f"{x:g}" for x in claim if x is not None),
            ]
        )
    head = ["model", "MAE", "RMSE", "R²", "above the best", "share of the best"]
    return table([*head, "size", "training", "claimed, other data"], rows)


def three(row: Mapping[str, Any]) -> list[str]:
    """MAE, RMSE and R² as text."""
    return [f"{row['mae']:.2f}", f"{row['rmse']:.2f}", f"{row['r2']:.3f}"]


def groups(what: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Every model's three figures by airline or route, beside the best reachable."""
    names = list(next(iter(found.values()), {}))
    return table(
        [what, "flights", *(NAMES[name] for name in names), "ensemble above the best"],
        [
            [
                group,
                f"{scores['ensemble']['flights']:,}",
                *(" / ".join(three(scores[name])) for name in names),
                percent(scores["ensemble"]["over_best"], sign=True),
            ]
            for group, scores in found.items()
        ],
    )


def verdict(figures: Mapping[str, Any]) -> dict[str, bool | None]:
    """Whether the ensemble is as good as it should be; None where nobody can know."""
    scores = figures["models"]
    mae, over = scores["ensemble"]["mae"], scores["ensemble"]["over_best"]
    return {
        "ensemble is better than XGBoost": mae < scores["xgboost"]["mae"],
        "ensemble is better than the network": mae < scores["network"]["mae"],
        f"ensemble is within {WITHIN:.0%} of the best reachable": (
            None if over is None else over <= WITHIN
        ),
    }


def comparison(figures: Mapping[str, Any]) -> str:
    """The whole comparison as Markdown."""
    words = {True: "yes", False: "**no**", None: "unknown: real data don't tell"}
    top = list(figures["importance"].items())[:TOP]
    return TEXT.format(
        version=figures["version"],
        **figures["test"],
        models=models(figures),
        verdicts="\n".join(f"- {says}: {words[true]}" for says, true in verdict(figures).items()),
        airlines=groups("airline", figures["airlines"]),
        routes=groups("route", figures["routes"]),
        importance=table(
            ["input", "share of the gain", "SHAP, minutes"],
            [[name, percent(row["gain"]), f"{row['shap_minutes']:.2f}"] for name, row in top],
        ),
    )


def show(figures: Mapping[str, Any]) -> None:
    """Print it for a terminal of 80 columns."""
    print(f"{'model':26} {'MAE':>6} {'RMSE':>6} {'R2':>7} {'above best':>11}   claimed elsewhere")
    for name, row in figures["models"].items():
        claim = CLAIMED.get(name)
        mae, rmse, r2 = three(row)
        print(
            f"{NAMES[name]:26} {mae:>6} {rmse:>6} {r2:>7} "
            f"{percent(row['over_best'], sign=True):>11}   "
            f"{'' if claim is None else ' / '.join(f'{x:g}' for x in claim if x is not None)}"
        )
    for kind in ("airlines", "routes"):
        print(
            f"\n{kind:10} {'flights':>8} {'XGBoost':>9} {'network':>9} {'ensemble':>9} {'best':>7}"
        )
        for group, scores in figures[kind].items():
            maes = [f"{scores[name]['mae']:9.2f}" for name in ("xgboost", "network", "ensemble")]
            best = f"{scores[BEST]['mae']:7.2f}" if BEST in scores else f"{'?':>7}"
            print(f"{group:10} {scores['ensemble']['flights']:8,} {' '.join(maes)} {best}")
    print()
    for says, true in verdict(figures).items():
        print(f"{'unknown' if true is None else 'yes' if true else 'no':8} {says}")


def main(argv: list[str] | None = None) -> int:
    """Write and print the comparison."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    try:
        figures = read()
    except CompareError as error:
        print(error, file=sys.stderr)
        return 1
    paths.reports().mkdir(parents=True, exist_ok=True)
    (paths.reports() / "comparison.md").write_text(comparison(figures), encoding="utf-8")
    summary = {
        "version": figures["version"],
        **{f"{name}_mae": row["mae"] for name, row in figures["models"].items()},
        "ensemble_over_best": figures["models"]["ensemble"]["over_best"],
        "verdicts": verdict(figures),
    }
    text = json.dumps(summary, indent=2) + "\n"
    (paths.metrics() / "comparison.json").write_text(text, encoding="utf-8")
    show(figures)
    print(f"\nMore in {paths.shown(paths.reports() / 'comparison.md')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
