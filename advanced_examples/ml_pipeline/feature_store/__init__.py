"""A feature store on PostgreSQL (history), Redis (serving) and Parquet (large training sets)."""

from feature_store.checks import Finding
from feature_store.errors import (
    BadFeatures,
    FeatureStoreError,
    StoreUnavailable,
    UnknownFeature,
)
from feature_store.store import FeatureStore, end_of_today

__all__ = [
    "BadFeatures",
    "FeatureStore",
    "FeatureStoreError",
    "Finding",
    "StoreUnavailable",
    "UnknownFeature",
    "end_of_today",
]
