"""`python -m course VERB`: what learn.py hands over to."""

import sys

from course.cli import main

sys.exit(main(sys.argv[1:]))
