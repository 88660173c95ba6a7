"""Parts of 02_mongodb_advanced.py: the questions, two shapes of an order, what servers do."""
