"""Patterns that pay: repository, service, unit of work, events.

You will see one function that does everything, and what goes wrong with it. Then comes one pattern
at a time: what it gives, what it costs, and when to leave it out. Four engines keep the same
promises, processes fight for one address, and no mail goes out too early. The patterns stand in
`customer_service`, beside this script: open each file when its step comes.

Run      python advanced_examples/patterns/02_repository_pattern.py    (--step pauses at each step)
Needs    PostgreSQL, MongoDB
Minutes  60
Next     advanced_examples/ml_pipeline/03_feature_store.py
"""

import inspect
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext
from functools import partial
from textwrap import fill

from customer_service import (
    Application,
    Customer,
    CustomerRegistered,
    CustomerService,
    DuplicateEmail,
    EmailChanged,
    EventBus,
    ForbiddenChange,
    ICustomerReader,
    ICustomerRepository,
    InMemoryRepository,
    InvalidEmail,
    RepositoryFactory,
    Settings,
    StoreUnavailable,
    UnitOfWork,
    bootstrap,
    inject,
)
from customer_service.classroom import anatomy, costs, props
from customer_service.classroom.corners import SHARED, empty_corner, start
from customer_service.engines.shop import ShopCustomers
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812

from course import connect
from course.lesson import Lesson, run
from course.workspace import own_schema, own_turn

SCHEMA, NAMESPACE = "patterns_02", "patterns_02_service"
TABLES = "CREATE TABLE tangled (name text NOT NULL, email text NOT NULL)"
CALLS, FEWER_CALLS = 200, 40
DRIVERS = {"psycopg2", "pymongo", "duckdb"}
Mailer, Journal = Callable[[str], object], list[str]
open_store = RepositoryFactory.create_customer_repository


def open_connection() -> Connection:
    """A connection that finds the lesson's own tables first."""
    return connect.postgres(options=f"-c search_path={SCHEMA},public")


def register_tangled(
    connection: Connection,
    name: str,
    email: str,
    send: Callable,
    pause: Callable = int,
) -> None:
    """Rule, look-up, mail and SQL in one place."""
    email = email.strip().lower()
    if "@" not in email:
        raise ValueError("bad e-mail")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM tangled WHERE email = %s", (email,))
        if cursor.fetchone():
            raise ValueError("taken")
        pause()
        send(f"Welcome, {name}!")
        cursor.execute("INSERT INTO tangled VALUES (%s, %s)", (name, email))


def tangled(lesson: Lesson) -> None:
    """Before any pattern: everything in one function.

    Short, and nothing to look up elsewhere. For a script that one person runs, stop here. It hurts
    when it grows: two visitors look at the same moment, and both find the address free. The mail
    is sent before the row is kept. And to test the rule about "@" you need a server.
    """
    anatomy.show(register_tangled)
    mails: list[str] = []
    both_looked = partial(threading.Barrier(2).wait, 30)

    def visit(name: str) -> None:
        with closing(open_connection()) as connection:
            register_tangled(connection, name, "anna@example.com", mails.append, both_looked)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(visit, ("Anna", "Anna again")))
    with closing(open_connection()) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tangled WHERE email = 'anna@example.com'")
            lesson.check("both looked: two accounts, one address", cursor.fetchone() == (2,))
        with lesson.expected_error(errors.NotNullViolation):
            register_tangled(connection, None, "olha@example.com", mails.append)
    lesson.check("a mail went out for a row that was not kept", "Welcome, None!" in mails)


def domain(lesson: Lesson) -> None:
    """The domain: what is true about a customer wherever one is kept.

    domain.py imports no driver. An invalid Customer can't be made, so nobody has to check again. In
    the words of domain-driven design Customer is an entity (it has an identity) and the root of
    its aggregate (loaded and kept as a whole); Email is a value object (two with the same text are
    the same). Use the words of the shop, in talk and in code.

    Cost: a class, and moving values in and out of it. Leave it out where there are no rules: rows
    that only pass through are fine as frames.
    """
    anatomy.tell_cost("domain.py")
    anna = Customer(name="  Anna   Berg ", email="Anna@Example.COM")
    lesson.check("what goes in is put in order", anna.email == "anna@example.com")
    with lesson.expected_error(InvalidEmail):
        Customer(name="Anna", email="anna at example.com")
    richer = anna.changed(points=5)
    same = anna.customer_id == richer.customer_id and anna.points == 0
    lesson.check("a change makes a new object with the same identity", same)
    with lesson.expected_error(ForbiddenChange):
        anna.changed(closed=True).changed(points=5)


def repository_and_service(lesson: Lesson) -> None:
    """Repository and service: the use cases, without a word about storage.

    A repository looks like a collection: add, get, find. The service says what people do. It knows
    ICustomerRepository (ports.py) and nothing below, so a dictionary will do for a start. Here is
    one use case, and what a morning full of them answers.

    Cost: a port and a class, and one more file to open when you follow a call. Leave it out where
    all logic is SQL: reports and pipelines are better off with views.
    """
    anatomy.tell_cost("ports.py", "service.py")
    anatomy.show(CustomerService.register_customer)
    said = props.morning(CustomerService(InMemoryRepository()))
    lesson.table(said, ["use case", "answer"])
    lesson.check("every refusal is a sentence", all(s == "done" or " " in s for _, s in said))
    lesson.check("a merge moved the points", said[-2] == ("Anna Berg", "100 points"))
    lesson.check("the service imports no driver", not anatomy.imports("service.py") & DRIVERS)


def longest_name(customers: ICustomerReader) -> str:
    """The customer's name that needs the widest column."""
    return max((customer.name for customer in customers.get_all()), key=len)


def small_interfaces(lesson: Lesson) -> None:
    """Small interfaces: ask for what you use.

    A report reads and never writes, so it takes an ICustomerReader. The shop of this course may not
    be changed: its reader (engines/shop.py) has no `add` at all, instead of one that raises. And a
    class that forgets a promise can't be made.

    Cost: a few names more. Leave it out until there is a second kind of caller.
    """
    with closing(open_connection()) as connection:
        shop = ShopCustomers(connection)
        lesson.check("a report runs on the shop", len(longest_name(shop)) > 5, longest_name(shop))
        lesson.check("through which nobody can write", not hasattr(shop, "add"))
    few = InMemoryRepository()
    props.two_accounts(few, points=0)
    lesson.check("and the same report on a dictionary", longest_name(few) == "Ivan Koval")
    forgetful = type("Forgetful", (ICustomerRepository,), {"add": InMemoryRepository.add})
    lesson.check("who forgets a promise can't be made", inspect.isabstract(forgetful))


def factory(lesson: Lesson) -> None:
    """A factory: the engine is a line of configuration.

    With CUSTOMER_ENGINE=duckdb and CUSTOMER_URL=customers.duckdb the same service keeps customers
    in a file. The morning must end the same: tests/patterns holds all engines to one contract.
    DuckDB stands for a warehouse here; BigQuery enforces no unique key, so it could not simply be
    swapped in. A new engine is a new file and an entry: nothing that works is edited.

    Cost: what only one engine can do is out of reach. Without a second engine in sight, name the
    class and skip the factory. Don't build it for a day that might come.
    """
    anatomy.tell_cost("factory.py", "engines")
    expected = props.morning(CustomerService(InMemoryRepository()))
    for engine in ("memory", *SHARED):
        with empty_corner(engine, NAMESPACE) as settings:
            given = Settings.from_environment(settings.as_environment())
            with closing(open_store(given)) as store:
                name, said = type(store).__name__, props.morning(CustomerService(store))
        lesson.check(f"{name} tells the same story", said == expected)
    RepositoryFactory.engines["careless"] = lambda settings: props.CarelessRepository()
    try:
        said = props.morning(CustomerService(open_store(Settings("careless"))))
    finally:
        del RepositoryFactory.engines["careless"]
    lesson.check("right methods with wrong manners are found out", said != expected)
    with lesson.expected_error(ValueError):
        open_store(Settings("oracle"))


def race(lesson: Lesson) -> None:
    """Who gets the address is decided where it is kept.

    Two processes register one address at the same time. The service does not look first: it adds,
    and a unique constraint or index refuses one. Each engine's own error becomes DuplicateEmail, in
    the same words. A lock in our code could not do this: another machine would not see it.
    """
    register = ("-m", "customer_service", "register", "Anna Berg", "anna@example.com")
    refused = str(DuplicateEmail("anna@example.com"))
    expected = [refused, "registered Anna Berg <anna@example.com>"]
    print(f"    {expected[0]}\n    {expected[1]}\n")
    for engine in SHARED:
        with empty_corner(engine, NAMESPACE) as settings, ExitStack() as stack:
            racers = [stack.enter_context(start(settings, *register)) for _ in expected]
            said = sorted("".join(racer.communicate(timeout=60)).strip() for racer in racers)
        lesson.check(f"{engine}: one gets it, the other hears why", said == expected)


def unit_of_work(lesson: Lesson) -> None:
    """A unit of work: several changes, or none.

    A merge is two writes: take the points from one account, give them to the other. If the second
    fails, the points are gone. The service doesn't know about transactions. `with work:` draws the
    line around the use case: commit at its end, rollback when an exception leaves it.

    Cost: one more object to hand around. Leave it out when each use case is one write.
    """
    anatomy.tell_cost("unit_of_work.py")
    anatomy.show(UnitOfWork.__exit__)
    for within, left in ((nullcontext, 0), (UnitOfWork, 1_000)):
        store = props.FailingRepository()
        poor, rich = props.two_accounts(store, points=1_000)
        with lesson.expected_error(StoreUnavailable), within(store):
            CustomerService(store).merge_customers(poor, rich)
        there = sum(customer.points for customer in store.get_all())
        lesson.check(f"{within.__name__}: {left:,} of 1,000 points are left", there == left)


def promises(lesson: Lesson) -> None:
    """What a unit of work can promise depends on the engine.

    PostgreSQL and DuckDB have transactions. MongoDB has them on a replica set only. A single server
    refuses, and so does the embedded one of this course. There our unit of work takes its writes
    back, the last one first: after an error all is undone, but others may have seen it, and
    a process that dies leaves what it wrote. The methods are the same and the promise is not, so
    know which one you rely on. The way out in MongoDB: what must change together is one document.
    """
    kept = {}
    for engine in SHARED:
        with empty_corner(engine, NAMESPACE) as settings:
            kept[engine] = props.kept_promises(settings)
    rows = [(name, *("yes" if word else "NO" for word in words)) for name, words in kept.items()]
    lesson.table(rows, ["engine", "undone after error", "unseen before end", "gone after crash"])
    refusal = props.mongo_refuses(NAMESPACE)
    print(f"MongoDB, asked for a transaction:\n{fill(refusal or 'done', 80)}\n")
    with_transactions = {kept["postgres"], kept["duckdb"]}
    lesson.check("transactions keep all three", with_transactions == {(True, True, True)})
    as_told = (True, not refusal, not refusal)
    lesson.check("MongoDB without them keeps one", kept["mongo"] == as_told)


def welcome(event: CustomerRegistered, mailer: Mailer) -> None:
    """Greet a new customer."""
    mailer(f"Welcome, {event.customer.name}!")


def note(event: CustomerRegistered | EmailChanged, journal: Journal) -> None:
    """Write a line for those who ask later."""
    journal.append(type(event).__name__)


def events(lesson: Lesson) -> None:
    """Domain events: first it is true, then it is told.

    The service records what happened. The unit of work publishes it after the commit, and forgets
    it after a rollback. A new listener changes no use case; one that fails undoes nothing and is
    reported, and the others still hear.

    Cost: no place shows any more what follows from what. For a single consequence call a function.
    Events in memory die with the process: what must arrive goes into an outbox table in the same
    transaction, and is sent from there.
    """
    mails: list[str] = []
    failures: list[str] = []
    listeners = [lambda event: 1 / 0, lambda event: welcome(event, mails.append)]
    bus = EventBus({CustomerRegistered: listeners}, lambda _, error: failures.append(str(error)))
    work = UnitOfWork(InMemoryRepository(), bus.publish)
    service = CustomerService(work.customers, work.record)
    with work:
        service.register_customer("Anna Berg", "anna@example.com")
        lesson.check("before the commit there is no mail", mails == [])
    lesson.check("after it there is", mails == ["Welcome, Anna Berg!"])
    with lesson.expected_error(DuplicateEmail), work:
        service.register_customer("Ivan Koval", "ivan@example.com")
        service.register_customer("Ivan again", "ivan@example.com")
    lesson.check("what was rolled back is not told", len(mails) == 1)
    lesson.check("the listener that failed is reported", failures == ["division by zero"])


def by_hand(settings: Settings, mailer: Mailer, journal: Journal) -> Application:
    """Put the application together."""
    store = RepositoryFactory.create_customer_repository(settings)
    greet = partial(welcome, mailer=mailer)
    write = partial(note, journal=journal)
    listeners = {CustomerRegistered: [greet, write], EmailChanged: [write]}
    work = UnitOfWork(store, EventBus(listeners).publish)
    return Application(CustomerService(store, work.record), work, store)


def injection(lesson: Lesson) -> None:
    """Dependency injection: take what you need as an argument.

    No part makes its own helpers. Each is given them, and one function at the edge, the composition
    root, hands them out. That is all of it. By hand, you read it and know the program. When there
    are many listeners, ten lines do it by the names of their parameters (bootstrap.py).

    Cost: by hand, none. By name, your editor can't follow, and a wrong name shows at the start of
    the program. Frameworks with containers and scopes are for far larger programs.
    """
    anatomy.tell_cost("bootstrap.py")
    anatomy.show(by_hand, inject)
    listeners = {CustomerRegistered: [welcome, note], EmailChanged: [note]}
    heard = []
    for put_together in (by_hand, partial(bootstrap, listeners=listeners)):
        said: list[str] = []
        with empty_corner("postgres", NAMESPACE) as settings:
            service, work, store = put_together(settings, mailer=said.append, journal=said)
            with closing(store), work:
                anna = service.register_customer("Anna", "anna@example.com")
                service.change_email(anna.customer_id, "new@example.com")
        heard.append(said)
    expected = ["Welcome, Anna!", "CustomerRegistered", "EmailChanged"]
    lesson.check("both ways make the same program", heard == [expected, expected])
    lesson.check("ten lines are enough", anatomy.source(inject).count("\n") < 10)
    with lesson.expected_error(TypeError):
        inject(welcome, {"journal": []})


def solid(lesson: Lesson) -> None:
    """SOLID, and which way the imports point.

    Each principle is a comment at the class where it acts. Clean architecture is one rule: imports
    point inwards. The domain knows nobody; the service knows the domain and its ports; the engines
    know both; only the outermost files know everyone. So the driver can be swapped, and the rules
    of the shop outlive it.
    """
    found = anatomy.principles()
    lesson.table(found, ["", "principle", "file", "class"])
    lesson.check("all five are there", {letter for letter, *_ in found} == set("SOLID"))
    service = anatomy.knows("service.py") | anatomy.knows("unit_of_work.py")
    lesson.check("the domain knows nobody", anatomy.knows("domain.py") == set())
    lesson.check("service and unit of work know domain and ports", service == {"domain", "ports"})
    users = [file for file in anatomy.files() if anatomy.imports(file) & DRIVERS]
    lesson.check("drivers stay in engines/", all(file.startswith("engines/") for file in users))


def bill(lesson: Lesson) -> None:
    """The bill: lines, calls, microseconds.

    One registration, with more and more around it. The layers only compute: one round trip to a
    server costs more than all of them. A unit of work adds two of those, BEGIN and COMMIT. The real
    price is the reading: count the files that you open to follow one call.

    At a thousand times the size: `get_all` gives way to pages, imports go past the service by COPY
    (this is for one customer at a time), rules for millions of rows become SQL, and events go
    through an outbox and a broker.
    """
    times = FEWER_CALLS if lesson.fast else CALLS
    with empty_corner("postgres", NAMESPACE) as settings, closing(open_store(settings)):
        prices = costs.of_registering(NAMESPACE, times)
    rows = [(name, entered, f"{each:.1f}") for name, (entered, each) in prices.items()]
    lesson.table(rows, ["one registration", "our calls", "µs"], measured=True)
    added, by_hand = prices[costs.IN_MEMORY][1], prices[costs.BY_HAND][1]
    lesson.check("all layers add less than a third of one INSERT", added * 3 < by_hand)
    lines = anatomy.source(register_tangled).count("\n") + 1
    now = anatomy.code_lines(*anatomy.files())
    bad_bargain = now > 30 * lines
    lesson.check("for one use case a bad bargain", bad_bargain, f"{lines} lines then, {now} now")


PARTS = (tangled, domain, repository_and_service, small_interfaces, factory, race, unit_of_work,
         promises, events, injection, solid, bill)  # fmt: skip


def main(lesson: Lesson) -> None:
    """Every part as a step, in the lesson's own schema and collection."""
    with own_turn(SCHEMA), own_schema(SCHEMA, TABLES):
        for part in PARTS:
            lesson.step(part, lesson)


if __name__ == "__main__":
    run(main)
