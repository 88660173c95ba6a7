"""Flight delays, from raw data to a running service: one subject a file, each a command."""
