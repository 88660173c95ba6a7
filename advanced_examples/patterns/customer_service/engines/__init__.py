"""The engines: one file for each way of keeping customers. Nobody inside imports them."""
