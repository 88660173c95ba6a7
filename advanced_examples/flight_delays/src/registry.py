"""Which versions of the model there are and which one answers: MLflow's registry, in SQLite.

    python src/registry.py list
    python src/registry.py promote v3       v3 answers from now on
    python src/registry.py rollback         back to the one before
    python src/registry.py fetch v2         restore models/v2 from what was logged

Two aliases say what a version is for: `champion` answers, `challenger` was trained last and was
not better; `previous` is where a rollback goes. MLflow's stages (Staging, Production), which older
guides name, are gone. Runs and models: `mlflow ui --backend-store-uri sqlite:///mlruns.db`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from features.vector import INPUTS
from src import bundle, paths

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

NAME = "flight-delay"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
OUTPUTS = 4
SERVING = ("numpy", "xgboost-cpu", "xgboost", "onnxruntime")


class RegistryError(Exception):
    """The registry can't do what was asked; the text says why."""


class Decision(NamedTuple):
    """Whether a new version answers from now on, and why."""

    promoted: bool
    reason: str


def client() -> MlflowClient:
    """MLflow on mlruns.db in the home folder, with our experiment and our model in it."""
    # Nobody asked for reports to MLflow's makers, and there may be no network.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    home = paths.home()
    home.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(f"sqlite:///{(home / 'mlruns.db').as_posix()}")
    store = MlflowClient()
    if store.get_experiment_by_name(NAME) is None:
        store.create_experiment(NAME, artifact_location=(home / "mlruns").as_uri())
    try:
        store.get_registered_model(NAME)
    except MlflowException:
        store.create_registered_model(NAME, description="Minutes a flight will be late.")
    mlflow.set_experiment(NAME)
    return store


def next_version(store: MlflowClient) -> str:
    """The name that the next registered version will have: v1, v2, ..."""
    return f"v{1 + max((number_of(known) for known in versions(store)), default=0)}"


def versions(store: MlflowClient) -> list[str]:
    """All registered versions, the oldest first."""
    found = store.search_model_versions(f"name = '{NAME}'")
    return [f"v{number}" for number in sorted(int(one.version) for one in found)]


def number_of(name: str) -> int:
    """MLflow's number of a version.

    Raises:
        RegistryError: `name` isn't v and a number.
    """
    if not (name.startswith("v") and name[1:].isdigit()):
        raise RegistryError(f"A version is called v1, v2 and so on, not {name!r}.")
    return int(name[1:])


def register(
    store: MlflowClient,
    folder: Path,
    chosen: Mapping[str, Any],
    figures: Mapping[str, float],
    curves: Mapping[str, Sequence[float]],
) -> None:
    """Log the bundle in `folder` with parameters and figures, and register it under its version.

    Raises:
        RegistryError: another training took the version's number meanwhile.
    """
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    wanted = bundle.describe(folder)["version"]
    rows = np.dtype(np.float32)
    signature = ModelSignature(
        Schema([TensorSpec(rows, (-1, len(INPUTS)))]), Schema([TensorSpec(rows, (-1, OUTPUTS))])
    )
    with mlflow.start_run(run_name=wanted):
        mlflow.log_params(flat(chosen))
        mlflow.log_metrics(dict(figures))
        for name, values in curves.items():
            for step, value in enumerate(values, start=1):
                mlflow.log_metric(name, value, step=step)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it would like an example of the input
            logged = mlflow.pyfunc.log_model(
                name="model",
                loader_module="src.mlflow_model",
                data_path=str(folder),
                signature=signature,
                pip_requirements=requirements(),
            )
    made = store.create_model_version(NAME, logged.model_uri, model_id=logged.model_id)
    if f"v{made.version}" != wanted:
        raise RegistryError(f"Another training registered {wanted} meanwhile. Train again.")


def requirements() -> list[str]:
    """What a loaded model needs, as installed here. Given to MLflow, which would guess wrong:
    it finds both packages of XGBoost, and takes its time."""
    found = []
    for name in SERVING:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return found


def flat(chosen: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by dotted name: xgboost.max_depth."""
    named: dict[str, Any] = {}
    for name, value in chosen.items():
        if isinstance(value, Mapping):
            named |= flat(value, f"{prefix}{name}.")
        else:
            named[prefix + name] = value
    return named


def holder(store: MlflowClient, alias: str) -> str | None:
    """The version that has `alias`, if any."""
    model = store.get_registered_model(NAME)
    number = model.aliases.get(alias)
    return None if number is None else f"v{number}"


def fetch(name: str) -> Path:
    """Restore the folder of a version from what was logged, and return it.

    Raises:
        RegistryError: there is no such version.
    """
    import mlflow

    with tempfile.TemporaryDirectory() as space:
        try:
            got = mlflow.artifacts.download_artifacts(
                artifact_uri=f"models:/{NAME}/{number_of(name)}", dst_path=space
            )
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise RegistryError(f"{name} can't be fetched: {error}") from error
        found = next(Path(got).rglob(bundle.ABOUT), None)
        if found is None:
            raise RegistryError(f"What was logged as {name} holds no {bundle.ABOUT}.")
        bundle.put(found.parent, paths.models() / name)
    return paths.models() / name


def load(name: str) -> bundle.Bundle:
    """A version's bundle, fetched again if its folder is gone."""
    folder = paths.models() / name
    if not (folder / bundle.ABOUT).exists():
        fetch(name)
    return bundle.Bundle.load(folder)


def promote(store: MlflowClient, name: str) -> None:
    """Let a version answer: move the alias, remember the one before, write models/champion.

    Raises:
        RegistryError: there is no such version.
        BundleError: it can't be loaded; nothing has changed.
    """
    if name not in versions(store):
        raise RegistryError(f"There is no {name}, but {', '.join(versions(store)) or 'none'}.")
    load(name)
    before = holder(store, CHAMPION)
    if before not in (None, name):
        store.set_registered_model_alias(NAME, PREVIOUS, str(number_of(before)))
    store.set_registered_model_alias(NAME, CHAMPION, str(number_of(name)))
    if holder(store, CHALLENGER) == name:
        store.delete_registered_model_alias(NAME, CHALLENGER)
    bundle.write_whole(paths.models() / bundle.CHAMPION, name + "\n")


def rollback(store: MlflowClient) -> str:
    """Let the version answer that did before; returns its name.

    Raises:
        RegistryError: there is none.
    """
    before = holder(store, PREVIOUS)
    if before is None:
        raise RegistryError("No version answered before the present one.")
    promote(store, before)
    return before


def by_validation(mae: float, rival: float | None) -> Decision:
    """Whether a version no worse than the present champion on validation takes its place.

    `mae` and `rival` are the errors of the new and the present version on the same flights;
    `rival` is None where there is no present one, or it can't judge today's inputs any more.
    """
    if rival is None:
        return Decision(True, f"validation MAE {mae:.3f}, no champion to compare with")
    if mae <= rival:
        return Decision(True, f"validation MAE {mae:.3f}, champion has {rival:.3f}")
    return Decision(False, f"validation MAE {mae:.3f} is worse than the champion's {rival:.3f}")


def admit(store: MlflowClient, name: str, decision: Decision) -> None:
    """Make a new version champion or challenger, as decided."""
    if decision.promoted:
        promote(store, name)
        return
    store.set_registered_model_alias(NAME, CHALLENGER, str(number_of(name)))
    settle(store)


def settle(store: MlflowClient) -> None:
    """Write models/champion as the registry has it: a promotion may have been cut off halfway."""
    if (name := holder(store, CHAMPION)) is not None:
        load(name)
        bundle.write_whole(paths.models() / bundle.CHAMPION, f"{name}\n")


def table(store: MlflowClient) -> list[str]:
    """One line per version: name, aliases, validation MAE, training date."""
    aliases: dict[str, list[str]] = {}
    for alias, number in store.get_registered_model(NAME).aliases.items():
        aliases.setdefault(f"v{number}", []).append(alias)
    lines = [f"{'version':8} {'aliases':22} {'validation MAE':>14}  trained"]
    for name in versions(store):
        about = load(name).about
        mae = about["metrics"]["validation"]["ensemble"]["mae"]
        roles = ", ".join(sorted(aliases.get(name, []))) or "-"
        lines.append(f"{name:8} {roles:22} {mae:14.3f}  {about['training_date'][:16]}")
    return lines


def main(argv: list[str] | None = None) -> int:
    """List versions, or change which one answers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="all versions")
    verbs.add_parser("rollback", help="back to the champion before this one")
    for verb, says in (("promote", "make it the champion"), ("fetch", "restore its folder")):
        verbs.add_parser(verb, help=says).add_argument("version")
    wanted = parser.parse_args(argv)
    try:
        store = client()
        if wanted.verb == "list":
            print("\n".join(table(store)))
        elif wanted.verb == "rollback":
            print(f"{rollback(store)} answers again.")
        elif wanted.verb == "promote":
            promote(store, wanted.version)
            print(f"{wanted.version} answers from now on.")
        else:
            print(f"{paths.shown(fetch(wanted.version))} is as it was trained.")
    except (RegistryError, bundle.BundleError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
