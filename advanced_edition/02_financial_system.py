"""A bank's ledger: what happened is written down once and never changed.

You will open accounts and move money by double entry, see fees, interest, holds and limits, let
rules for money laundering and fraud raise alerts, send a request twice, run a million transactions
with every event on disk, tear the log's end off, and prove all of it by reading the history again.
The parts stand in the package `ledger` beside this script; its first lines say in which order to
read them.

Run      python advanced_edition/02_financial_system.py        (--rows N for more or fewer)
Needs    nothing
Minutes  50
Next     03_ml_recommendation_engine.py
"""

import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import islice
from pathlib import Path
from textwrap import fill, indent

import config_advanced
from config_advanced import Config
from ledger.audit import audit, overdrawn
from ledger.closing import end_month
from ledger.days import DAY, HOUR, actual_360, actual_365, date_of, moment, thirty_360
from ledger.errors import BadRequest, KeyReused, LogDamaged, WrongState
from ledger.events import decode
from ledger.journal import entries
from ledger.money import ZERO, money, rounded, shown
from ledger.products import TERMS, yearly
from ledger.read_model import ReadModel, as_rows
from ledger.service import Ledger
from ledger.snapshots import as_data
from ledger.workload import first_account, open_accounts, perform, requests, three_accounts

from course.lesson import Lesson, run

TODAY = moment("2025-10-26 09:00")
CLAIMED = 0.001  # seconds for one transaction, as promised for this system
LINES = 8  # of a statement that are shown


def double_entry(lesson: Lesson, folder: Path) -> None:
    """An event moves money from one account to another.

    A request is checked by the rules, and if it is accepted, an event is written: AccountCreated,
    Deposit, Withdrawal, Transfer. Each one makes entries: an amount is taken from one account
    (debit) and given to another (credit). What the bank knows is only what follows from the events.
    """
    with Ledger.open(folder) as ledger:
        anna, ivan, _ = three_accounts(ledger, TODAY)
        ledger.withdraw(anna, "120.50", key="w-1", at=TODAY, channel="cash")
        paid = ledger.transfer(anna, ivan, "250", key="t-1", at=TODAY).event
        text = ledger.log.text_at(ledger.keys["t-1"])
        lesson.console.say(indent(fill(text, 72, break_on_hyphens=False), "  "))
        accounts = ledger.bank.accounts.values()
        rows = [(one.number, one.owner, shown(one.balance)) for one in accounts]
        lesson.table(rows, ["account", "owner", "balance"])
        lesson.check("all balances together are zero", ledger.bank.sum_of_balances() == ZERO)
        lesson.check("both sides of a transfer are one line", decode(text) == paid)
        lesson.check("Anna pays, Ivan receives", entries(paid) == ((anna, ivan, money(250)),))
        with lesson.expected_error(AttributeError):
            paid.amount = money(9999)


def exact_money(lesson: Lesson, folder: Path) -> None:
    """Four places inside, two outside.

    Amounts are Decimal with four places. A float is refused: 0.1 isn't a tenth in binary. People
    see two places, rounded half to even (banker's rounding): rounding every half up would make a
    long column of shown amounts drift upwards.
    """
    with Ledger.open(folder) as ledger:
        account, *_ = three_accounts(ledger, TODAY)
        mistyped = account.replace("1", "7", 1)
        for number, amount in ((account, 0.1), (account, "0.00001"), (mistyped, "5")):
            with lesson.expected_error(BadRequest):
                ledger.deposit(number, amount, key="no", at=TODAY)
    halves = [Decimal(number) / 1000 for number in range(5, 10_000, 10)]  # 0.005, 0.015, 0.025 …
    exact, even = sum(halves), sum(Decimal(shown(half)) for half in halves)
    up = sum(half.quantize(Decimal("0.01"), ROUND_HALF_UP) for half in halves)
    rows = [("exact", exact), ("half to even", even), ("half up", up)]
    lesson.table(rows, ["1,000 halves", "sum"])
    lesson.check("half to even doesn't drift", even == exact)
    lesson.check("half up gains half a cent each", up - exact == Decimal("0.005") * 1_000)
    lesson.check("2.125 is shown as 2.12", shown(Decimal("2.125")) == "2.12")


def fees_and_limits(lesson: Lesson, folder: Path) -> None:
    """The terms of an account: fees by tiers, and limits.

    Some payments a month are free, then the fee depends on the amount. A limit or a lack of money
    refuses. The refusal is recorded as well: its key stays answered, and somebody may ask why. The
    event holds the fee that was taken, not the rule, so a new tariff never changes old events.
    """
    with Ledger.open(folder) as ledger:
        _, ivan, rich = three_accounts(ledger, TODAY)
        terms, taken = TERMS["savings"], []
        for number in range(terms.free_a_month + 1):
            paid = ledger.withdraw(ivan, "20", key=f"w-{number}", at=TODAY + number * HOUR)
            taken.append(shown(paid.event.fee))
        lesson.check("six are free, the seventh isn't", taken == ["0.00"] * 6 + ["0.50"])
        fees = [(amount, shown(terms.fee(money(amount)))) for amount in (900, 5_000, 20_000)]
        lesson.table(fees, ["amount", "fee"])
        by_tier = [fee for _, fee in fees]
        lesson.check("the fee grows with the amount", by_tier == ["0.50", "2.00", "12.00"])
        reasons = set()
        for account, amount in ((ivan, "30000"), (ivan, "7900"), (rich, "60000.01")):
            refused = ledger.withdraw(account, amount, key=f"no-{amount}", at=TODAY + DAY)
            lesson.console.say(f"  {amount} rejected: {refused.event.reason}")
            reasons.add(refused.event.reason)
        lesson.check("each refusal says why", len(reasons) == 2)
        lesson.check("and stands in the history", ledger.state_of("no-7900") == "rejected")


def interest(lesson: Lesson, folder: Path) -> None:
    """Interest by tiers, for every day.

    Each slice of a balance has its own rate. What counts is the balance at the end of each day. Two
    banks that pay 3 % a year don't pay the same: they count the days differently, and the name of
    that is the day count. The key of a payment names account and month, so that a closing that died
    halfway is started again and pays nobody twice.
    """
    start, end = moment("2025-01-31") // DAY, moment("2025-03-31") // DAY
    counts = {"actual/365": actual_365, "actual/360": actual_360, "30/360": thirty_360}
    year = yearly(TERMS["money market"].interest, Decimal(60_000))
    paid = [shown(year * fraction(start, end)) for fraction in counts.values()]
    lesson.table(list(zip(counts, paid, strict=True)), ["day count", "31 Jan to 31 Mar, on 60,000"])
    lesson.check("60,000 earn 1 % of 25,000 and 3 % of the rest", year == money(1300))
    lesson.check("the day count matters", paid == ["210.14", "213.06", "216.67"])
    with Ledger.open(folder) as ledger:
        _, ivan, _ = three_accounts(ledger, TODAY)
        ledger.deposit(ivan, "4000", key="more", at=TODAY + 10 * DAY)
        close = TODAY + 21 * DAY
        closed = end_month(ledger, close)
        # A year at 8,000 pays 120, at 12,000 it pays 190: 1.5 % up to 10,000, 2 % above.
        expected = rounded(Decimal(120 * 10 + 190 * 11) / 365)
        amount = ledger.event(f"interest:2025-11:{ivan}").amount
        lesson.check("ten days at 8,000, eleven at 12,000", amount == expected, str(amount))
        lesson.check("two accounts bear interest", closed == (2, 0))
        lesson.check("closing it again pays nobody twice", end_month(ledger, close) == (0, 0))


def holds(lesson: Lesson, folder: Path) -> None:
    """Holds: money that is promised and not yet paid.

    A hotel asks for 400 and takes 310 when you leave. Until then the money is there and can't be
    spent. A transaction is a state machine: a pending one is posted, voided or expires; a posted
    one can only be reversed, by a new entry. Everything else is an error, not a surprise.
    """
    with Ledger.open(folder) as ledger:
        anna, ivan, _ = three_accounts(ledger, TODAY)
        account = ledger.account(anna)
        for number in range(3):
            ledger.hold(anna, "400", key=f"h-{number}", at=TODAY, name="Hotel Dnipro")
        lesson.check("1,800 of 3,000 can be spent", account.available == money(1800))
        ledger.post("h-0", "310", key="p-0", at=TODAY + DAY)
        ledger.void("h-1", "cancelled in time", key="v-1", at=TODAY + DAY)
        ledger.expire_holds(TODAY + 8 * DAY)
        ledger.reverse("p-0", "the room was cold", key="r-0", at=TODAY + 9 * DAY)
        states = {key: str(ledger.state_of(key)) for key in ("h-0", "h-1", "h-2", "p-0")}
        lesson.table(list(states.items()), ["key", "state"])
        ends = ["posted", "voided", "expired", "reversed"]
        lesson.check("each ended its way", list(states.values()) == ends)
        lesson.check("nothing is held, nothing was lost", account.available == money(3000))
        with lesson.expected_error(WrongState):
            ledger.void("h-2", "changed my mind", key="v-2", at=TODAY + 10 * DAY)
        wrong = ledger.transfer(anna, ivan, "99", key="wrong", at=TODAY + 10 * DAY).event
        ledger.reverse("wrong", "to the wrong person", key="r-1", at=TODAY + 11 * DAY)
        lesson.check("the mistake stays in the history", ledger.event("wrong") == wrong)


def once_only(lesson: Lesson, folder: Path) -> None:
    """The same request twice.

    A caller who got no answer can't know whether the money moved. So he sends the request again,
    with the same idempotency key, and is told what happened the first time. The same key with other
    content is a bug of the caller and must not be answered with somebody else's result.
    """
    with Ledger.open(folder) as ledger:
        anna, ivan, _ = three_accounts(ledger, TODAY)
        answers = [ledger.transfer(anna, ivan, "75", key="rent", at=TODAY + n) for n in range(3)]
        outcomes = [answer.outcome for answer in answers]
        lesson.check("posted once, then: exists", outcomes == ["posted", "exists", "exists"])
        lesson.check("the same event each time", len({answer.event for answer in answers}) == 1)
        with lesson.expected_error(KeyReused):
            ledger.transfer(anna, ivan, "76", key="rent", at=TODAY)
    with Ledger.open(folder) as ledger:
        again = ledger.transfer(anna, ivan, "75", key="rent", at=TODAY + DAY)
        lesson.check("after a restart too", again.outcome == "exists")
        lesson.check("the money moved once", ledger.account(ivan).balance == money(8075))


def alerts(lesson: Lesson, folder: Path) -> None:
    """Rules that call a person.

    AML (anti money laundering): large cash, structuring (several sums just below the limit),
    velocity, names on a sanctions list. Signs of fraud have points: 40 raise an alert, from 70 on
    the payment waits for a review. The alerts are a part of the event, so no crash parts them.
    """
    with Ledger.open(folder) as ledger:
        anna, ivan, rich = three_accounts(ledger, TODAY)
        ledger.deposit(rich, "12000", key="large", at=TODAY, channel="cash")
        for number in range(3):
            ledger.deposit(ivan, "3900", key=f"s-{number}", at=TODAY + number * DAY, channel="cash")
        at = TODAY + 3 * DAY
        for number in range(11):
            ledger.withdraw(anna, "9.90", key=f"v-{number}", at=at + number * 60, name="Game Shop")
        ledger.withdraw(anna, "200", key="list", at=at + HOUR, name="MALENKO, Víktor")
        odd = ledger.withdraw(rich, "9000", key="odd", at=at + HOUR, name="Stranger Ltd")
        rows = [(number, ", ".join(rules)) for number, rules in ledger.bank.alerts.items()]
        lesson.table(rows, ["event", "alerts to review"])
        raised = {rule for rules in ledger.bank.alerts.values() for rule in rules}
        aml = {"large cash", "structuring", "velocity", "sanctioned name"}
        lesson.check("each rule raised its alert", raised == aml | {"unusual amount", "new payee"})
        lesson.check("the sanctioned name was refused", ledger.state_of("list") == "rejected")
        lesson.check("9,000 to a stranger wait", odd.outcome == "pending")
        ledger.review(rows[0][0], "reported", "Olena", key="case-1", at=at + 2 * HOUR)
        ledger.post("odd", key="approved", at=at + 2 * HOUR)
        left = list(ledger.bank.alerts)
        lesson.check("a review settles an alert", left == [number for number, _ in rows[1:-1]])


def million(lesson: Lesson, folder: Path, config: Config) -> None:
    """A million transactions, every event on disk.

    Each one is checked by all rules, written with one `write`, and then applied. A process that is
    killed loses nothing that was confirmed. What a power failure may take is a choice, `fsync`: see
    the top of ledger/log.py. With `batch`, one transaction in a portion waits for the disk.
    """
    count, outcomes, alerted, times = config.transactions, Counter[str](), 0, array("d")
    with Ledger.open(folder, config.fsync, config.chunk_size) as ledger:
        accounts = open_accounts(ledger, count, config.seed)
        stream = requests(accounts, count, config.seed)
        for _ in lesson.progress(range(0, count, config.chunk_size), label="portions"):
            for request in list(islice(stream, config.chunk_size)):
                start = time.perf_counter()
                receipt = perform(ledger, request)
                times.append(time.perf_counter() - start)
                outcomes[str(receipt.outcome)] += 1
                alerted += bool(receipt.event.alerts)
        lookups = ledger.account.cache_info()
    tell_speed(lesson, times, config)
    rows = [(outcome, f"{number:,}") for outcome, number in sorted(outcomes.items())]
    lesson.table([*rows, ("with alerts", f"{alerted:,}")], ["outcome", "transactions"])
    lesson.check("every transaction was answered", outcomes.total() == count)
    lesson.check("some were refused, some wait", outcomes["rejected"] and outcomes["pending"])
    share = lookups.hits / (lookups.hits + lookups.misses)
    lesson.check("lru_cache answers nearly all account look-ups", share > 0.9, f"{share:.0%}")


def tell_speed(lesson: Lesson, times: Sequence[float], config: Config) -> None:
    """Print within how many microseconds most transactions were done, beside what is claimed."""
    ordered = sorted(times)
    shares = {"half of them": 0.5, "99 %": 0.99, "99.9 %": 0.999}
    within = {name: ordered[int(len(ordered) * share)] for name, share in shares.items()}
    within["claimed for one"] = CLAIMED
    rows = [(name, f"{seconds * 1e6:,.1f}") for name, seconds in within.items()]
    title = f"{len(times) / sum(times):,.0f} a second, fsync {config.fsync!r}"
    lesson.table(rows, ["share", "done within µs"], title, measured=True)
    if config.fsync != "always":  # then the disk sets the pace
        enough = within["half of them"] < CLAIMED / 3
        lesson.check("half are done within a third of the claim", enough)


def torn_tail(lesson: Lesson, folder: Path) -> None:
    """When the end of the log is torn off, or the middle is damaged.

    Power fails while the last line is written. At the next start that half line is dropped: it was
    never confirmed. The ledger says so and keeps the bytes. A damaged line in the middle is another
    thing: it was confirmed once, so the ledger refuses to start and says what to do.
    """
    with Ledger.open(folder) as ledger:
        anna, *_ = three_accounts(ledger, TODAY)
        ledger.withdraw(anna, "10", key="whole", at=TODAY)
        ledger.withdraw(anna, "20", key="torn", at=TODAY)
        path, end = ledger.log.path, ledger.keys["torn"]
    data = path.read_bytes()
    path.write_bytes(data[:-25])
    with Ledger.open(folder) as ledger:
        lesson.console.paragraphs(str(ledger.log.dropped))
        lesson.check("what was confirmed before is there", ledger.event("whole").amount == 10)
        lesson.check("the half event is gone, nothing else", path.stat().st_size == end)
        again = ledger.withdraw(anna, "20", key="torn", at=TODAY)
        lesson.check("sent again, it is simply done", again.outcome == "posted")
    damaged = data[:300] + b"9" + data[301:]
    path.write_bytes(damaged)
    try:
        Ledger.open(folder).close()
    except LogDamaged as error:
        lesson.console.paragraphs(str(error).replace(str(path), path.name), "yellow")
        lesson.check("damage before the end stops everything", path.read_bytes() == damaged)


def snapshot_and_tail(lesson: Lesson, folder: Path) -> None:
    """A snapshot shortens the start.

    Reading the whole history takes time that grows with it. A snapshot is what follows from it up
    to a point; a start loads it and reads only the rest. It is a copy: delete it and nothing is
    lost, and whatever it leads to must be what the whole history leads to.
    """
    start = time.perf_counter()
    with Ledger.open(folder) as ledger:
        whole = time.perf_counter() - start
        ledger.snapshot()
        ledger.deposit(first_account(ledger), "1", key="after the snapshot", at=TODAY)
        number, expected = ledger.bank.number, as_data(ledger.bank)
    start = time.perf_counter()
    with Ledger.open(folder) as ledger:
        quick = time.perf_counter() - start
        rows = [("from the first event", whole), ("snapshot and tail", quick)]
        lesson.table(rows, ["start", "seconds"], f"{number:,} events", measured=True)
        lesson.check("both know exactly the same", as_data(ledger.bank) == expected)
        lesson.check("a request from before it is still answered", "t-0" in ledger.keys)


def statements(lesson: Lesson, folder: Path) -> None:
    """Projections: the same history for other questions.

    The log is in the order of time. A statement needs the order of accounts, so a projection writes
    the entries into SQLite, together with the place in the log where it stopped. It may lag behind,
    and it can be thrown away and built anew.
    """
    with Ledger.open(folder) as ledger:
        model = ReadModel(folder / "read_model.sqlite", ledger.log.path)
        lesson.check("it has read everything", model.catch_up() == ledger.bank.number)
        lesson.check("and needs to read nothing twice", model.catch_up() == 0)
        account, day = first_account(ledger), TODAY // DAY - 1
        found = model.statement(account, day * DAY, (day + 1) * DAY)
        title = f"{account}, {ledger.account(account).owner}, {date_of(day)}"
        lesson.table(as_rows(found, LINES), ["time", "what", "amount"], title)
        total = found.opening + sum((amount for *_, amount in found.lines), ZERO)
        lesson.check("opening and lines make the closing balance", total == found.closing)
        some = [one for one in ledger.bank.accounts.values() if one.owner][:200]
        same = all(model.balance(one.number) == one.balance for one in some)
        lesson.check("its balances are the ledger's", same, f"{len(some)} accounts compared")


def proof(lesson: Lesson, folder: Path, small: Path) -> None:
    """The audit: a replay is the proof.

    Read every event again, without snapshot or index: check checksums, order and entries, and
    compare what follows with what the bank believes. A cent that came from nowhere is found.
    """
    with Ledger.open(folder) as ledger:
        report = audit(ledger)
        sums = [("debits", shown(report.debits)), ("credits", shown(report.credits))]
        lesson.table(sums, [f"{report.events:,} events", "sum"])
        lesson.check("debits equal credits", report.debits == report.credits)
        lesson.check("the audit finds nothing", not report.findings, "; ".join(report.findings))
        lesson.check("nobody is overdrawn", overdrawn(ledger.bank) == [])
    with Ledger.open(small) as ledger:
        ledger.account(first_account(ledger)).balance += Decimal("0.01")
        found = audit(ledger).findings
        lesson.console.say("\n".join(f"  found: {finding}" for finding in found))
        lesson.check("a cent from nowhere is found", len(found) == 3)


def when_not(lesson: Lesson, folder: Path) -> None:
    """When not to do this, and what changes at a thousand times the size.

    Don't, where only the present matters: a shopping cart needs a table. Events can't be deleted,
    which collides with the right to be forgotten: in a real system names stand elsewhere and events
    refer to them. And an old event must be readable for ever, so its form is a promise.

    A billion events don't fit one process: the keys alone are some 200 GB. Cut the accounts into
    shards, make a transfer between two of them by a hold and a posting, keep keys for days and not
    for ever, move old segments of the log away, and copy each line to a second machine before it is
    confirmed. In a job you would take PostgreSQL with a table of entries and a unique key, or
    TigerBeetle, a database made for ledgers.
    """
    with Ledger.open(folder) as ledger:
        three_accounts(ledger, TODAY)
        named = "owner" in ledger.event("open-0")._fields
        lesson.check("here a customer's name is in the history for ever", named)


def main(lesson: Lesson) -> None:
    """The story: small ledgers to see how it works, and a large one."""
    config = config_advanced.chosen(lesson.options, "transactions")
    config_advanced.DATA_DIR.mkdir(exist_ok=True)
    story = (double_entry, exact_money, fees_and_limits, interest, holds, once_only, alerts)
    with tempfile.TemporaryDirectory(dir=config_advanced.DATA_DIR) as name:
        folder, large = Path(name), Path(name) / "million"
        for part in story:
            lesson.step(part, lesson, folder / part.__name__)
        lesson.step(million, lesson, large, config)
        lesson.step(torn_tail, lesson, folder / "torn")
        lesson.step(snapshot_and_tail, lesson, large)
        lesson.step(statements, lesson, large)
        lesson.step(proof, lesson, large, folder / double_entry.__name__)
        lesson.step(when_not, lesson, folder / "end")


if __name__ == "__main__":
    run(main, config_advanced.options)
