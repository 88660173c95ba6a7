"""Flight delays, from raw data to a running service: one subject a file, each a command."""

import os

# Before onnxruntime is loaded: it would keep a diary for its makers in the user's home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
