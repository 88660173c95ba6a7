"""Prices as people type them: take the decoration away, split off the cents, then convert."""

import pandas as pd


def parse_prices(typed: pd.Series) -> pd.Series:
    """The prices as floats, NaN where there is none; the index stays."""
    signs = typed.astype("string").str.replace(r"[^\d.,]", "", regex=True)
    parts = signs.str.extract(r"^(.*?)(?:(?:,|\.)(\d\d))?$")
    whole = parts[0].str.replace(r"[.,]", "", regex=True)
    text = whole.mask(whole == "") + "." + parts[1].fillna("0")
    return pd.to_numeric(text, errors="coerce").astype("float64")
