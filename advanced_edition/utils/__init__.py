"""Tools of this module that are nobody's subject."""
