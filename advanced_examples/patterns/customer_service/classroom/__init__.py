"""What the lesson and its tests need around the service; the service needs none of it."""
