"""What keeps the running service right: its predictions and what became of them, and drift."""
