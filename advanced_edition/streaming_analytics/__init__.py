"""Statistics of streams: the parts that lesson 01 puts together.

`reader` reads CSV files in batches and sections, `moments` counts, `sketches` estimates, `windows`
slides over days, `analytics` joins them, `engines` runs them side by side, `sales` makes the data.
"""

from streaming_analytics.analytics import Columns, StreamingAnalytics
from streaming_analytics.moments import Exact, Fixed, Floating, Welford
from streaming_analytics.reader import Section, split, stream_csv
from streaming_analytics.sketches import DDSketch, HeavyHitters, HyperLogLog

__all__ = [
    "Columns",
    "DDSketch",
    "Exact",
    "Fixed",
    "Floating",
    "HeavyHitters",
    "HyperLogLog",
    "Section",
    "StreamingAnalytics",
    "Welford",
    "split",
    "stream_csv",
]
