"""A batch ETL pipeline from the standard library alone: nothing lost, nothing twice."""

from batch_etl.api import ApiSource
from batch_etl.files import CsvFile, JsonLinesFile
from batch_etl.pipeline import Metrics, TooManyBadRowsError, run_etl
from batch_etl.records import SourceError
from batch_etl.schema import InvalidRowError, enrich, validate
from batch_etl.target import Account, RunError, Target, opened

__all__ = [
    "Account",
    "ApiSource",
    "CsvFile",
    "InvalidRowError",
    "JsonLinesFile",
    "Metrics",
    "RunError",
    "SourceError",
    "Target",
    "TooManyBadRowsError",
    "enrich",
    "opened",
    "run_etl",
    "validate",
]
