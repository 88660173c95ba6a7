"""The parts of lesson 03: a shop with a planted truth, and what finds that truth again."""
