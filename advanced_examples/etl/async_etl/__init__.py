"""A production ETL pipeline: weather and stock prices from HTTP sources into PostgreSQL.

    pipeline = ETLPipeline()
    await pipeline.run_parallel_pipelines(cities=["Kyiv", "Lviv"], symbols=["AAPL"])
    pipeline.metrics.print_summary()

As a command: `python -m async_etl --help`.
"""

from async_etl.breaker import CircuitBreaker, CircuitOpen, State
from async_etl.client import Client, Garbage, Refused, SourceError, Throttled, Unavailable
from async_etl.metrics import Meters, Metrics
from async_etl.pipeline import ETLPipeline
from async_etl.records import KINDS, SourceClock, StockQuote, WeatherReading
from async_etl.rules import Rejected, Validator
from async_etl.settings import Settings
from async_etl.store import Batch, Letter, Store, StoreUnavailable

__all__ = [
    "KINDS", "Batch", "CircuitBreaker", "CircuitOpen", "Client", "ETLPipeline", "Garbage",
    "Letter", "Meters", "Metrics", "Refused", "Rejected", "Settings", "SourceClock", "SourceError",
    "State", "StockQuote", "Store", "StoreUnavailable", "Throttled", "Unavailable", "Validator",
    "WeatherReading",
]  # fmt: skip
