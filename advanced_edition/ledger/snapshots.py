"""Snapshots: what follows from the log up to a point, so that a start reads only the rest.

A snapshot is a copy that may be deleted at any time: the log is the truth. It is one line with a
checksum, written under another name and then renamed, so that half of one is never found.
"""

import json
import os
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from ledger.errors import LogDamaged
from ledger.events import decode, encode
from ledger.log import framed, sync_folder, unframed
from ledger.state import Account, Bank
from ledger.states import State

VERSION = 1
KEPT = 2
FIELDS = [field.name for field in fields(Account)]
AMOUNTS = ("balance", "held", "spent_today", "largest")


def save(folder: Path, bank: Bank, keys: dict[str, int], offset: int) -> Path:
    """Write a snapshot of the log up to `offset` and delete all but the newest two."""
    content = {"version": VERSION, "offset": offset, "keys": keys, "bank": as_data(bank)}
    path = folder / f"snapshot-{bank.number:012d}.json"
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.write(framed(json.dumps(content, default=str)))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(folder)
    for old in sorted(folder.glob("snapshot-*.json"))[:-KEPT]:
        old.unlink()
    return path


def load(folder: Path, log_size: int) -> tuple[Bank, dict[str, int], int]:
    """(bank, keys, offset from which to read on) of the newest whole snapshot, or of none.

    Raises LogDamaged when the log is shorter than it was: accepted events are missing.
    """
    for path in sorted(folder.glob("snapshot-*.json"), reverse=True):
        text = unframed(path.read_bytes())
        content = json.loads(text) if text else {}
        if content.get("version") != VERSION:
            continue  # of another version, or damaged: an older one or the log itself will do
        if content["offset"] > log_size:
            raise LogDamaged(
                f"{folder}: {path.name} knows the log up to byte {content['offset']}, but it has "
                f"{log_size}: accepted events are missing. Restore the log from a copy."
            )
        return from_data(content["bank"]), content["keys"], content["offset"]
    return Bank(), {}, 0


def as_data(bank: Bank) -> dict[str, Any]:
    """All that a bank knows, as JSON can hold it; equal for banks that know the same."""
    return {
        "number": bank.number,
        "at": bank.at,
        "day": bank.day,
        "month": bank.month,
        "accounts": [_account_data(account) for account in bank.accounts.values()],
        "holds": [encode(hold) for hold in bank.holds.values()],
        "alerts": [[number, list(rules)] for number, rules in bank.alerts.items()],
        "moved": dict(bank.moved),
    }


def from_data(data: dict[str, Any]) -> Bank:
    """The bank that `as_data` described."""
    bank = Bank()
    bank.number, bank.at = data["number"], data["at"]
    bank.day, bank.month = data["day"], data["month"]
    accounts = (_account_from(values) for values in data["accounts"])
    bank.accounts = {account.number: account for account in accounts}
    holds = (decode(text) for text in data["holds"])
    bank.holds = {hold.key: hold for hold in holds}
    bank.alerts = {number: tuple(rules) for number, rules in data["alerts"]}
    bank.moved = {key: State(state) for key, state in data["moved"].items()}
    return bank


def _account_data(account: Account) -> dict[str, Any]:
    data = {name: getattr(account, name) for name in FIELDS}
    data.update({name: str(data[name]) for name in AMOUNTS})
    data["closings"] = [[start, end, str(balance)] for start, end, balance in account.closings]
    data["cash"] = [[at, str(amount)] for at, amount in account.cash]
    data["recent"] = list(account.recent)
    data["known"] = sorted(account.known)
    return data


def _account_from(data: dict[str, Any]) -> Account:
    values = dict(data)
    values.update({name: Decimal(data[name]) for name in AMOUNTS})
    values["closings"] = [(start, end, Decimal(text)) for start, end, text in data["closings"]]
    values["cash"] = tuple((at, Decimal(text)) for at, text in data["cash"])
    values["known"] = set(data["known"])
    values["recent"] = tuple(data["recent"])
    return Account(**values)
