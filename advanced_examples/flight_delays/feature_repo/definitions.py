"""What Feast knows: the views of features/, where their history lies, and the push sources.

Names, columns and TTLs come from the views themselves, the on-demand features from the function
that the service calls too: nothing is written down a second time.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from feast import Entity, FeatureView, Field, FileSource, PushSource, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, String, UnixTimestamp
from feast.value_type import ValueType

from features.temporal_features import MORE_NAMES, NAMES
from features.views import View
from src.feature_eng import VIEWS, view_file

STREAMED = ("weather", "aircraft")


def push_name(view_name: str) -> str:
    """What the push source of a streamed view is called."""
    return f"{view_name}_push"


def history(view: View) -> FileSource:
    """The parquet file of a view; of rows of one time the one created last counts."""
    return FileSource(
        name=f"{view.name}_history",
        path=str(view_file(view)),
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
    )


def feature_view(view: View, entity: Entity) -> FeatureView:
    """Feast's view of `view`: from its history, and from a stream where there is one."""
    source = history(view)
    streamed = view.name in STREAMED
    return FeatureView(
        name=view.name,
        entities=[entity],
        ttl=view.ttl,
        schema=[
            Field(name=column, dtype=String if column in view.categories else Float64)
            for column in view.columns
        ],
        online=True,
        source=PushSource(name=push_name(view.name), batch_source=source) if streamed else source,
    )


flight = RequestSource(
    name="flight",
    schema=[
        Field(name="departure_time", dtype=UnixTimestamp),
        Field(name="origin", dtype=String),
    ],
)


@on_demand_feature_view(
    name="temporal",
    sources=[flight],
    schema=[Field(name=name, dtype=Float64) for name in (*NAMES, *MORE_NAMES)],
    mode="pandas",
)
def temporal_view(inputs: pd.DataFrame) -> pd.DataFrame:
    """The calendar and the clock, from the same pure function as everywhere else.

    Feast keeps this function's text and runs it where nothing of this file is imported: so it
    imports what it needs itself. (Its annotations are looked up in this file, though.)
    """
    import pandas as pd

    from features.temporal_features import temporal

    departure = pd.to_datetime(inputs["departure_time"], utc=True).dt.tz_localize(None)
    return pd.DataFrame(temporal(departure.to_numpy(), inputs["origin"].to_numpy()))


def repository() -> list[Any]:
    """All that Feast is to know, for the home folder as it is now."""
    entities = {
        view.entity: Entity(name=view.entity, join_keys=[view.entity], value_type=ValueType.STRING)
        for view in VIEWS
    }
    views = [feature_view(view, entities[view.entity]) for view in VIEWS]
    return [*entities.values(), *views, temporal_view]


# `feast apply` takes what has a name of its own in this file, and removes all else that it knew: a
# list would not do.
globals().update({f"{type(each).__name__}_{each.name}": each for each in repository()})
