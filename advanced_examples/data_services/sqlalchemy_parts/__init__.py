"""The second half of 01_sqlalchemy_advanced.py: its models under load, in use and in change."""
