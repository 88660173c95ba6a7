"""Names with which no business may be done.

The list is made up. A real one (OFAC, EU, UN) changes daily, has aliases and dates of birth, and
everybody who is a customer already is screened again when it does.
"""

import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache

SANCTIONED = ("Viktor Petrovich Malenko", "Oleander Trading Holdings", "Ramon Cardenal Ibarra")
ALIKE = 0.88  # from this similarity on (0 to 1) a person must look


def plain(name: str) -> str:
    """A name without accents, case, signs and order: 'MALENKO, Víktor' is 'malenko viktor'."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    words = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    return " ".join(sorted(words.split()))


LIST = tuple((plain(name), set(plain(name).split())) for name in SANCTIONED)


@lru_cache(maxsize=65_536)
def sanctioned(name: str) -> bool:
    """Whether `name` is on the list, or so like one that a person must look.

    The words may stand in any order, one given name may be missing, and letters may differ.
    """
    found = plain(name)
    words = set(found.split())
    return any(
        (len(words) >= 2 and words <= listed_words)
        or SequenceMatcher(None, found, listed).ratio() >= ALIKE
        for listed, listed_words in LIST
    )
