"""The second half of 04_rabbitmq_messaging.py: faults on purpose, and daily operation."""
