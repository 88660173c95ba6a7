"""Look at the flights before modelling: figures and charts of the train split.

    python src/eda.py                 charts, saved under reports/plots
    python src/eda.py --show-stats    the figures as well, in the terminal

Only the train split is looked at: who lets what is in the test split guide the choice of features
has used it for training.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from features.airports import CODES, local_times
from src import paths

ON_TIME_MINUTES = 15.0
QUIET, LOUD = "#9aa5b1", "#1f6feb"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WEATHER = ("clear", "rain", "snow", "fog")
UNKNOWN = "unknown"


class EdaError(Exception):
    """There is nothing to look at; the text says what to do."""


def train_flights() -> pd.DataFrame:
    """The train split, with local hour, weekday, month, and the weather at the origin.

    Raises:
        EdaError: an earlier stage hasn't run.
    """
    file, weather = paths.processed() / "flights.parquet", paths.raw() / "weather.parquet"
    for needed in (file, weather):
        if not needed.exists():
            raise EdaError(
                f"{needed} is missing. Make it with `python src/simulate.py`, then "
                "`python src/preprocess.py`."
            )
    flights = pd.read_parquet(file, filters=[("split", "==", "train")])
    utc = flights["departure_time"].dt.tz_localize(None).to_numpy()
    local = pd.DatetimeIndex(local_times(utc, flights["origin"].to_numpy().astype(str)))
    flights = flights.assign(
        hour=local.hour,
        weekday=local.weekday,
        month=local.month,
        late=flights["actual_delay_minutes"] >= ON_TIME_MINUTES,
        observed=flights["departure_time"].dt.floor("h"),
    )
    seen = pd.read_parquet(weather, columns=["airport", "time", "conditions"])
    seen = seen.rename(columns={"airport": "origin", "time": "observed"})
    flights = flights.merge(seen, on=["origin", "observed"], how="left", validate="many_to_one")
    return flights.fillna({"conditions": UNKNOWN})


def table_by(flights: pd.DataFrame, column: str) -> pd.DataFrame:
    """Flights, mean and median delay and the share of late flights, by the values of a column."""
    groups = flights.groupby(column, sort=True, observed=True)
    delay = groups["actual_delay_minutes"]
    return pd.DataFrame(
        {
            "flights": groups.size(),
            "mean_delay": delay.mean(),
            "median_delay": delay.median(),
            "late_share": groups["late"].mean(),
        }
    )


def stats(flights: pd.DataFrame) -> str:
    """The figures as text for a terminal."""
    delay = flights["actual_delay_minutes"]
    first, last = flights["departure_time"].min(), flights["departure_time"].max()
    lines = [
        f"Train split: {len(flights):,} flights, {first:%Y-%m-%d} to {last:%Y-%m-%d}, "
        f"{flights['route'].nunique()} routes, {flights['tail_number'].nunique():,} aircraft",
        f"Delay: mean {delay.mean():.1f}, median {delay.median():.1f}, "
        f"standard deviation {delay.std():.1f} minutes",
        "Delay by quantile: "
        + ", ".join(f"{q:.0%} {delay.quantile(q):.0f}" for q in (0.01, 0.1, 0.5, 0.9, 0.99)),
        f"At least {ON_TIME_MINUTES:.0f} minutes late: {flights['late'].mean():.1%}",
    ]
    for column in ("airline", "time_of_day", "conditions"):
        lines += ["", f"By {column}:", table_text(table_by(flights, column))]
    routes = table_by(flights, "route").sort_values("mean_delay", ascending=False)
    lines += ["", "The five latest routes:", table_text(routes.head(5))]
    missing = flights.isna().sum()
    missing = missing[missing > 0]
    lines += ["", "Missing values:"]
    lines += [f"  {name}: {count:,}" for name, count in missing.items()] or ["  none"]
    return "\n".join(lines)


def table_text(table: pd.DataFrame) -> str:
    """A table of `table_by` in columns."""
    lines = [f"  {'':12} {'flights':>9} {'mean':>7} {'median':>7} {'late':>7}"]
    for name, row in table.iterrows():
        lines.append(
            f"  {name!s:12} {row['flights']:>9,.0f} {row['mean_delay']:>7.1f} "
            f"{row['median_delay']:>7.1f} {row['late_share']:>7.1%}"
        )
    return "\n".join(lines)


def charts(flights: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Each chart with the name of its file."""
    yield "delays", distribution(flights)
    hours = table_by(flights, "hour")["mean_delay"]
    labels = [str(hour) for hour in hours.index]
    yield "by_hour", columns(labels, hours, "local hour of departure")
    days = table_by(flights, "weekday")["mean_delay"]
    labels = [DAYS[day] for day in days.index]
    yield "by_weekday", columns(labels, days, "local day of departure")
    months = table_by(flights, "month")["mean_delay"]
    labels = [MONTHS[month - 1] for month in months.index]
    yield "by_month", columns(labels, months, "local month of departure")
    airlines = table_by(flights, "airline")["mean_delay"].sort_values(ascending=False)
    yield "by_airline", columns(list(airlines.index), airlines, "airline")
    weather = table_by(flights, "conditions")["mean_delay"]
    weather = weather.reindex([name for name in (*WEATHER, UNKNOWN) if name in weather.index])
    yield (
        "by_weather",
        columns(list(weather.index), weather, "weather at the origin"),
    )
    yield "inbound", propagation(flights)
    yield "origin_by_hour", grid(flights)


def start(title: str, x: str, y: str, height: float = 5.5) -> tuple[Figure, mpl.axes.Axes]:
    """An empty chart with big type and named axes."""
    figure = Figure(figsize=(10, height))
    axes = figure.subplots()
    axes.set_title(title, fontsize=20, loc="left", pad=14)
    axes.set_xlabel(x, fontsize=15)
    axes.set_ylabel(y, fontsize=15)
    axes.tick_params(labelsize=13)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def columns(labels: list[str], values: pd.Series, x: str) -> Figure:
    """One column per label; the highest stands out and is named in the title."""
    worst = labels[int(values.to_numpy().argmax())]
    figure, axes = start(f"Mean delay by {x}: most for {worst}", x, "mean delay, minutes")
    colours = [LOUD if value == values.max() else QUIET for value in values]
    axes.bar(labels, values, color=colours)
    axes.axhline(0, color="black", linewidth=0.8)
    return figure


def distribution(flights: pd.DataFrame) -> Figure:
    """How many flights have which delay; what lies beyond the axis counts in its last column."""
    title = f"{flights['late'].mean():.0%} of the flights are 15 minutes late or more"
    figure, axes = start(title, "delay, minutes", "flights")
    shown = flights["actual_delay_minutes"].clip(-60, 180)
    axes.hist(shown, bins=np.arange(-60, 185, 5), color=QUIET)
    axes.axvline(ON_TIME_MINUTES, color=LOUD, linewidth=2)
    axes.text(ON_TIME_MINUTES + 3, axes.get_ylim()[1] * 0.92, "late from here on", color=LOUD,
              fontsize=14)  # fmt: skip
    axes.yaxis.set_major_formatter("{x:,.0f}")
    return figure


def propagation(flights: pd.DataFrame) -> Figure:
    """The delay by how much of the inbound delay the time on the ground can't absorb."""
    figure, axes = start("Mean delay by what the time on the ground can't absorb",
                         "inbound delay minus time on the ground, minutes",
                         "mean delay, minutes")  # fmt: skip
    beyond = flights["inbound_delay_minutes"] - flights["turnaround_minutes"]
    edges = np.arange(-120, 95, 10)
    middle = pd.cut(beyond, edges, labels=edges[:-1] + 5)
    means = flights.groupby(middle, observed=True)["actual_delay_minutes"].agg(["mean", "size"])
    means = means[means["size"] >= min(20, len(flights) // 100)]
    axes.plot(means.index.astype(float), means["mean"], marker="o", color=LOUD, linewidth=3)
    axes.axhline(0, color="black", linewidth=0.8)
    return figure


def grid(flights: pd.DataFrame) -> Figure:
    """Mean delay by airport and local hour; white where fewer than five flights leave."""
    figure, axes = start("Where and when it is late", "local hour of departure", "", 7.5)
    cells = flights.pivot_table(
        values="actual_delay_minutes", index="origin", columns="hour", aggfunc=["mean", "size"]
    )
    means = cells["mean"].where(cells["size"] >= 5)
    means = means.reindex([code for code in CODES if code in means.index])
    image = axes.imshow(means, aspect="auto", cmap="Blues", interpolation="nearest")
    axes.set_yticks(range(len(means)), means.index)
    axes.set_xticks(range(0, len(means.columns), 2), means.columns[::2])
    bar = figure.colorbar(image, ax=axes)
    bar.set_label("mean delay, minutes", fontsize=15)
    return figure


def save(flights: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw all charts into `folder`; returns their files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, figure in charts(flights):
        file = folder / f"{name}.png"
        figure.savefig(file, dpi=100, bbox_inches="tight")
        files.append(file)
    return files


def main(argv: list[str] | None = None) -> int:
    """Draw the charts, and print the figures where wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--show-stats", action="store_true", help="print the figures too")
    wanted = parser.parse_args(argv)
    try:
        flights = train_flights()
    except EdaError as error:
        print(error, file=sys.stderr)
        return 1
    if wanted.show_stats:
        print(stats(flights) + "\n")
    files = save(flights, paths.reports() / "plots")
    print(f"{len(files)} charts in {paths.shown(files[0].parent)}: "
          + ", ".join(file.name for file in files))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
