"""Features as pure functions, which training and serving both import."""
