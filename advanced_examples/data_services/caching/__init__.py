"""The parts of 03_caching_strategies.py that other processes import or that outgrew the script."""
