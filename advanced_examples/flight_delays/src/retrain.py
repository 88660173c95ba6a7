"""Train on the newest flights, and let the new version answer only if it is better on the newest.

    python src/retrain.py                       with all that lies in data/raw
    python src/retrain.py --until 2024-06-29    as on the morning of that day: nothing later counts

The last days of the data are kept away from the training. On them the new version (the candidate)
and the one that answers (the champion) are both judged, flight by flight. The candidate is promoted
when its error there is smaller by more than luck, and it calls no fewer flights rightly late or
not. Then the service takes it by itself, and the old one waits under the alias `previous`.
Writes reports/retraining.md and reports/retraining.json. Killed halfway, it leaves the champion
as it was; run it again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import filelock
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ttest_1samp

from src import feature_eng, model_data, params, paths, preprocess, registry, train, validate
from src.bundle import Bundle, BundleError, write_whole
from src.model_data import Part
from src.monitoring.outcomes import LATE_MINUTES

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FAILED, WRONG_OPTION = 1, 2
DAY = timedelta(days=1)


class RetrainError(Exception):
    """This retraining can't decide anything; the text says why and what to do."""


class Errors(NamedTuple):
    """How a version did on the judged flights: mean absolute error in minutes, share right."""

    version: str
    mae: float
    accuracy: float


class Verdict(NamedTuple):
    """Candidate and champion on the same `flights` of the days from `first` to `last`.

    `gain` is how many minutes the candidate is nearer to the truth, `chance` how likely it would
    be that much nearer by luck. Without a champion they are NaN.
    """

    first: str
    last: str
    flights: int
    candidate: Errors
    champion: Errors | None
    gain: float
    chance: float
    decision: registry.Decision


def raw_until(until: date | None) -> dict[str, pd.DataFrame]:
    """The raw tables as they were known when the day `until` (UTC) began; None: all of them."""
    raw = feature_eng.read_raw()
    if until is None:
        return raw
    end = pd.Timestamp(until, tz="UTC")
    flights = raw["flights"]
    delay = pd.to_timedelta(flights["actual_delay_minutes"].fillna(0.0), unit="min")
    return {
        "flights": flights[flights["arrival_time"] + delay < end],
        "weather": raw["weather"][raw["weather"]["time"] < end],
        "airlines": raw["airlines"][raw["airlines"]["day"] < end],
    }


def prepared(raw: Mapping[str, pd.DataFrame], chosen: dict[str, Any]) -> pd.DataFrame:
    """Cleaned, validated, with features: what the pipeline's stages do, on these tables.

    Raises:
        RetrainError: the data break a rule.
    """
    kept, _ = preprocess.preprocess(raw["flights"], chosen)
    results = validate.validate({**raw, "flights": kept}, chosen)
    if any(result.broken for result in results):
        raise RetrainError(
            f"The data break rules, nothing was trained.\n{validate.as_text(results)}"
        )
    return feature_eng.historical(feature_eng.labels_from(kept), feature_eng.views_of(raw, chosen))


def split(frame: pd.DataFrame, rule: Mapping[str, Any]) -> dict[str, Part]:
    """`train`, `validation` and `judged`: the newest days, those before, and all the rest.

    Raises:
        RetrainError: too few flights to judge by.
    """
    days = frame["departure_time"].dt.floor("D")
    end = days.max() + DAY
    judged = end - rule["judged_days"] * DAY
    held = judged - rule["validation_days"] * DAY
    places = np.select([days >= judged, days >= held], ["judged", "validation"], "train")
    if (count := int((places == "judged").sum())) < rule["fewest_flights"]:
        raise RetrainError(
            f"Only {count} flights of the last {rule['judged_days']} days can be judged by; "
            f"params.yaml wants {rule['fewest_flights']} (retraining.fewest_flights)."
        )
    return {
        name: model_data.part(frame[places == name], name)
        for name in ("train", "validation", "judged")
    }


def answering(store: MlflowClient, judged: Part) -> Bundle | None:
    """The champion; None without one, or if it can't read today's inputs.

    Raises:
        RetrainError: it has learnt from the days that are to judge it.
    """
    name = registry.holder(store, registry.CHAMPION)
    if name is None:
        return None
    try:
        found = registry.load(name)
    except (BundleError, registry.RegistryError) as error:
        print(f"The champion {name} can't be compared with: {error}")
        return None
    learnt = max(found.about["trained_on"][part]["last"] for part in ("train", "validation"))
    if learnt >= judged.days[0]:
        raise RetrainError(
            f"The champion {name} has learnt from the days up to {learnt}, so it can't be judged "
            f"on those from {judged.days[0]}. Wait for newer flights, or name a later --until."
        )
    return found


def errors(version: str, said: NDArray[Any], truth: NDArray[Any]) -> Errors:
    """How the predictions `said` (n) did, minutes."""
    right = (said >= LATE_MINUTES) == (truth >= LATE_MINUTES)
    return Errors(version, float(np.abs(said - truth).mean()), float(right.mean()))


def judge(
    judged: Part, said: NDArray[Any], name: str, champion: Bundle | None, chance: float
) -> Verdict:
    """Whether the candidate `name`, which said `said` (n), is better than the champion."""
    mine = errors(name, said, judged.target)
    span = (*judged.days, len(judged.target))
    if champion is None:
        decision = registry.Decision(True, "there is no champion to compare with")
        return Verdict(*span, mine, None, float("nan"), float("nan"), decision)
    rival_said = champion.predict(judged.matrix).delay_minutes
    rival = errors(champion.version, rival_said, judged.target)
    nearer = np.abs(rival_said - judged.target) - np.abs(said - judged.target)
    luck = luck_of(nearer, judged.columns["departure_time"])
    return Verdict(
        *span, mine, rival, float(nearer.mean()), luck, decide(mine, rival, luck, chance)
    )


def luck_of(nearer: NDArray[Any], departures: NDArray[np.datetime64]) -> float:
    """How likely luck alone makes `nearer` (n) that large: one-sided t-test over the days' means.

    Days, not flights: those of one day share the weather, and are no independent witnesses.
    """
    days, where = np.unique(departures.astype("M8[D]"), return_inverse=True)
    means = np.bincount(where, weights=nearer) / np.bincount(where)
    if len(days) < 2 or np.ptp(means) == 0:
        return 0.0 if means.min() > 0 else 1.0
    return float(ttest_1samp(means, 0.0, alternative="greater").pvalue)


def decide(mine: Errors, rival: Errors, luck: float, chance: float) -> registry.Decision:
    """Promote what is nearer to the truth by more than luck and calls no fewer flights rightly."""
    if mine.mae >= rival.mae:
        return registry.Decision(False, f"its error is no smaller than {rival.version}'s")
    if luck > chance:
        return registry.Decision(False, f"its lead may be luck ({luck:.0%} likely)")
    if mine.accuracy < rival.accuracy:
        return registry.Decision(False, f"{rival.version} calls more flights rightly late or not")
    return registry.Decision(True, f"it is nearer to the truth, and luck is {luck:.1%} likely")


def retrain(until: date | None, chosen: dict[str, Any]) -> tuple[Verdict, dict[str, float]]:
    """Train, judge, and promote if it is better; seconds by step."""
    start = time.perf_counter()
    store = registry.client()
    registry.settle(store)
    rule = chosen["retraining"]
    parts = split(prepared(raw_until(until), chosen), rule)
    champion = answering(store, parts["judged"])
    ready = time.perf_counter()
    trained = train.train(parts, chosen)
    tuned = train.tune(trained, parts["validation"], chosen)
    about = train.record(store, trained, tuned, parts, chosen, newest=newest_weeks(parts))
    candidate = registry.load(about["version"])
    learnt = time.perf_counter()
    said = candidate.predict(parts["judged"].matrix).delay_minutes
    verdict = judge(parts["judged"], said, candidate.version, champion, rule["chance"])
    registry.admit(store, candidate.version, verdict.decision)
    return verdict, {
        "data": round(ready - start, 2),
        "training": round(learnt - ready, 2),
        "judging": round(time.perf_counter() - learnt, 2),
    }


def newest_weeks(parts: Mapping[str, Part]) -> Part:
    """Validation and judged flights in one: if it is promoted, these are the usual from now on."""
    held, judged = parts["validation"], parts["judged"]
    departures = [part.columns["departure_time"] for part in (held, judged)]
    return judged._replace(
        matrix=np.concatenate([held.matrix, judged.matrix]),
        columns={"departure_time": np.concatenate(departures)},
    )


def paragraph(verdict: Verdict) -> str:
    """What was decided and why, in sentences."""
    mine, rival, decision = verdict.candidate, verdict.champion, verdict.decision
    judged = f"{verdict.flights:,} flights from {verdict.first} to {verdict.last}"
    if rival is None:
        return (
            f"{mine.version} answers from now on: {decision.reason}. On {judged}, which it has not "
            f"learnt from, it is off by {mine.mae:.2f} minutes and calls {mine.accuracy:.1%} "
            "rightly late or not."
        )
    end = (
        f"{mine.version} is promoted: {decision.reason}. {rival.version} is kept as `previous`; "
        "`python src/registry.py rollback` brings it back."
        if decision.promoted
        else f"{mine.version} is not promoted: {decision.reason}. {rival.version} stays."
    )
    return (
        f"On {judged}, which neither has learnt from, {mine.version} is off by {mine.mae:.2f} "
        f"minutes and {rival.version} by {rival.mae:.2f}; {mine.accuracy:.1%} against "
        f"{rival.accuracy:.1%} are rightly called late or not. {end}"
    )


def as_json(verdict: Verdict, seconds: Mapping[str, float]) -> dict[str, Any]:
    """The verdict for other programs."""
    rival = None if verdict.champion is None else verdict.champion._asdict()
    return {
        **verdict._asdict(),
        "candidate": verdict.candidate._asdict(),
        "champion": rival,
        "gain": None if rival is None else verdict.gain,
        "chance": None if rival is None else verdict.chance,
        "decision": verdict.decision._asdict(),
        "seconds": dict(seconds),
    }


def write(verdict: Verdict, seconds: Mapping[str, float], folder: Path) -> None:
    """Both reports, into `folder`; whole or not at all."""
    took = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    text = f"# The last retraining\n\n{paragraph(verdict)}\n\nIt took: {took}.\n"
    write_whole(folder / "retraining.md", text)
    write_whole(folder / "retraining.json", json.dumps(as_json(verdict, seconds), indent=2) + "\n")


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """One retraining at a time in a home; a killed one frees the place by itself.

    Raises:
        RetrainError: another one is at work.
    """
    home.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(home / ".retraining.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RetrainError("Another retraining is at work here. Wait until it is done.") from None
    with lock:
        yield


def main(argv: list[str] | None = None) -> int:
    """Retrain; 0 when that was done, promoted or not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--until", type=date.fromisoformat, metavar="DAY", help="as when this day (UTC) began"
    )
    wanted = parser.parse_args(argv)
    try:
        chosen = params.load()
        with alone(paths.home()):
            verdict, seconds = retrain(wanted.until, chosen)
    except REFUSALS as error:
        print(error, file=sys.stderr)
        return FAILED
    write(verdict, seconds, paths.reports())
    print(paragraph(verdict))
    return 0


REFUSALS = (
    RetrainError, feature_eng.FeatureError, preprocess.PreprocessError, model_data.ModelDataError,
    params.ParamsError, registry.RegistryError, BundleError, ValueError,
)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
