"""The recommendations API: everything of this module in one service.

You will see one request travel through Redis, PostgreSQL, MongoDB and the engine, what each of them
costs, who may ask and how often, 500 requests that load once, every answer told to analytics, and
what the service says while its neighbours are away.

Run      python advanced_examples/data_services/06_recommendations_api.py    (--serve: stay up)
Needs    PostgreSQL, Redis, MongoDB, RabbitMQ
Minutes  60
Next     docs/STUDY_GUIDE.md
"""

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from statistics import mean

import httpx
import redis
from recommendations_api import process
from recommendations_api.cable import Cable
from recommendations_api.prepare import customers, prepared
from recommendations_api.process import Started
from recommendations_api.settings import from_environment
from recommendations_api.visitor import Visitor, comes_true, milliseconds, path

from course.charts import bars
from course.lesson import Lesson, run

USER, TOGETHER, COLD = 123, 500, 40
GUEST = "course-guest-key"
KEYS = {"course-demo-key": "student", GUEST: "guest"}
STORES = {"postgres": "PostgreSQL", "mongo": "MongoDB", "engine": "engine", "redis": "Redis"}


@dataclass
class Service(Visitor):
    """The service, and the cables to its neighbours, which can be pulled."""

    cables: dict[str, Cable]


def guest(service: Service) -> httpx.AsyncClient:
    """A client that asks with the guest's key."""
    headers = {"X-API-Key": GUEST}
    return httpx.AsyncClient(base_url=service.http.base_url, headers=headers, timeout=60)


def what_there_is(lesson: Lesson, service: Service) -> None:
    """A service has a place of its own in every store.

    Before the service starts, four jobs have run: a migration made its tables, two loads filled
    PostgreSQL and MongoDB, and the engine was trained. They are apart from the service: it must
    start in seconds, and it must not train anything. Everything carries the service's name, so
    nobody else's data can be hit. /health asks only whether the process lives, /ready also asks the
    neighbours. Restarting a process because a database is down helps nobody.
    """
    ((users,),) = service.rows("SELECT count(*) FROM users")
    with customers(service.settings) as collection:
        documents = collection.estimated_document_count()
    topology = service.settings.topology
    rows = [
        ("PostgreSQL", f"schema {service.settings.name}", f"{users:,} users"),
        ("MongoDB", f"collection {service.settings.collection}", f"{documents:,} documents"),
        ("Redis", f"keys {service.settings.cache_prefix}:…", "nothing yet"),
        ("RabbitMQ", f"queue {topology.work}", "nothing yet"),
    ]
    lesson.table(rows, ["store", "our place", "what is in it"])
    lesson.check("each user has a document", users == documents)
    lesson.check("/health: the process lives", service.http.get("/health").json()["status"] == "ok")
    ready = service.http.get("/ready").json()
    lesson.check("/ready: every neighbour answers", set(ready["services"].values()) == {"ok"})


def first_answer(lesson: Lesson, service: Service) -> None:
    """The first request goes all the way.

    Redis has nothing for user 123. PostgreSQL says who it is (user, address, city and country in
    one query), MongoDB what they bought and looked at (one document, by `_id`). The engine makes a
    profile of that. Redis keeps the answer for an hour, and analytics hears of it in the
    background. Nobody waits for analytics.
    """
    response = service.ask(USER).raise_for_status()
    answer = response.json()
    for name in ("segment", "churn_risk", "lifetime_value", "offer", "served_from"):
        print(f"  {name:15} {answer[name]}")
    shown = [(p["name"], p["category"], p["price"]) for p in answer["recommendations"]]
    lesson.table(shown, ["recommended", "category", "euros"])
    lesson.check("the databases answered", answer["served_from"] == "database")
    lesson.check("five products, none twice", len(set(shown)) == 5)
    steps = milliseconds(response)
    lesson.check("every store had its part", set(steps) == set(STORES), ", ".join(steps))


def second_answer(lesson: Lesson, service: Service) -> None:
    """The second one goes to Redis only.

    What Redis keeps is the JSON text that goes out. Nothing is parsed and written again: two fields
    (where it came from, what was not as it should be) are added at the end. The time to live is an
    hour less some chance, so that what came together does not expire together.
    """
    users = (USER + 1, *range(800, 804))  # several, for a busy machine may hold up any answer
    pairs = [(service.ask(user_id), service.ask(user_id)) for user_id in users]
    cold, warm = pairs[0]
    told = [response.json().pop("served_from") for response in (cold, warm)]
    lesson.check("first the databases, then Redis", told == ["database", "redis"])
    same = [{**r.json(), "served_from": ""} for r in (cold, warm)]
    lesson.check("apart from that, the same answer", same[0] == same[1])
    slow, fast = (min(sum(milliseconds(response).values()) for response in responses)
                  for responses in zip(*pairs, strict=True))  # fmt: skip
    lesson.check("Redis is at least 3x faster", slow > 3 * fast, f"{slow:.1f} ms -> {fast:.1f} ms")
    with redis.Redis.from_url(service.settings.redis) as client:
        (key,) = client.scan_iter(f"{service.settings.cache_prefix}:{{{USER}}}")
        lives = client.ttl(key)
    hour = service.settings.cache_seconds
    lesson.check("it is kept for about an hour", 0.85 * hour <= lives <= hour)


def refusals(lesson: Lesson, service: Service) -> None:
    """No is an answer, too, and needs a reason.

    401: who are you? 404: there is nobody with this number. 422: that is no number of a user. Each
    says what is wrong in words, in one form for all errors. A client that gets only a status has to
    call you.
    """
    asked = [(USER, {"X-API-Key": "wrong"}), (9_999, {}), ("anna", {}), (0, {})]
    answers = [service.ask(user_id, **headers) for user_id, headers in asked]
    lesson.table(
        [(r.status_code, r.json()["error"], r.json()["reason"]) for r in answers],
        ["status", "error", "reason"],
    )
    lesson.check("401, 404, 422", [r.status_code for r in answers] == [401, 404, 422, 422])


async def rate_limit(lesson: Lesson, service: Service) -> None:
    """Each key has a limit of its own.

    One caller's loop must not be everybody's outage: 600 requests at once, then 10 a second. The
    guest has just used 500 of them. The limit is counted in the process, by one
    number for each key, on a clock that nobody can set. A counter in Redis would hold for many
    processes together, and costs a trip on each request. It would also be gone with Redis, just
    when the databases need protection most.
    """
    left = service.settings.burst - TOGETHER
    got: list[httpx.Response] = []
    async with guest(service) as client:
        while not any(response.status_code == 429 for response in got):
            got += await asyncio.gather(*(client.get(path(USER)) for _ in range(25)))
    served = sum(response.is_success for response in got)
    refused = next(response for response in got if response.status_code == 429)
    lesson.check(f"the guest got the {left} that were left, then 429", served >= left)
    wait = refused.headers["Retry-After"]
    lesson.check("it says when to come back", wait == "1", f"Retry-After: {wait}")
    lesson.check("others are served meanwhile", service.ask(USER).is_success)


async def one_load(lesson: Lesson, service: Service) -> None:
    """500 requests at once, one load.

    A popular user's entry has just expired and everybody asks. Without single-flight each of them
    goes to PostgreSQL and MongoDB. Here the first one loads, and all others wait for it.
    """
    before = service.metric("recommendations_loads_total")
    async with AsyncExitStack() as ends:
        # 10 clients, since the pool of one is slow with 500 connections.
        clients = [await ends.enter_async_context(guest(service)) for _ in range(10)]
        each = TOGETHER // len(clients)
        got = await asyncio.gather(*(c.get(path(777)) for c in clients for _ in range(each)))
    loads = service.metric("recommendations_loads_total") - before
    lesson.check(f"{TOGETHER} answers", all(response.is_success for response in got))
    lesson.check("exactly 1 load", loads == 1)
    personal = {str({**r.json(), "served_from": ""}) for r in got}
    lesson.check("all got the same", len(personal) == 1)


def where_the_time_goes(lesson: Lesson, service: Service) -> None:
    """Where a cold answer's time goes.

    The service measures each store and says so in the header Server-Timing, which the tools of a
    browser draw as bars. /metrics has the same for Prometheus, over all requests. Measure before
    you tune: the engine, which looks like the hard part, is not where the time goes.
    """
    cold = [milliseconds(service.ask(user_id)) for user_id in range(1_000, 1_000 + COLD)]
    averages = {title: mean(each[store] for each in cold) for store, title in STORES.items()}
    total = sum(averages.values())
    rows = [(title, value, f"{value / total:.0%}") for title, value in averages.items()]
    lesson.table(rows, ["store", "ms", "share"], f"{COLD} cold answers", measured=True)
    shares = {title: 100 * value / total for title, value in averages.items()}
    lesson.chart(bars(shares, "Where a cold answer's time goes", "% of the time"), "cold")
    lesson.check("the engine takes the smaller part", averages["engine"] < total / 2)


def analytics(lesson: Lesson, service: Service) -> None:
    """Every answer was told to analytics, exactly once.

    The service packs the answers of 50 ms into one event, publishes it and waits for the confirm,
    all in the background. Another process, the consumer, writes them down: the event's id and its
    rows in one transaction, then the ack. Killed at any point, it gets the event again, and the id
    says that it is known.
    """
    all_stored = comes_true(lambda: service.stored() == service.given())
    lesson.check("the consumer stored one row for every answer", all_stored)
    ((from_databases, events),) = service.rows("""
        SELECT count(*) FILTER (WHERE tier = 'database'), count(DISTINCT event_id) FROM served
    """)
    lesson.check("it knows which tier answered", 0 < from_databases < service.stored())
    lesson.check("answers are packed: fewer events than answers", events < service.stored())


def without_cache_and_broker(lesson: Lesson, service: Service) -> None:
    """Redis and RabbitMQ go away, and nobody gets an error.

    Both are there to make things faster. So the service does without: the databases answer each
    request, and the events go into a table in PostgreSQL, the outbox. The answer says what is not
    as it should be. When they come back, nothing has to be restarted.
    """
    healthy = service.ask(USER).json()
    for name in ("redis", "rabbitmq"):
        service.cables[name].pull()
    service.ask(USER)  # with this one the service finds out that the broker is gone
    lesson.check(
        "the service noticed", comes_true(lambda: len(service.ask(USER).json()["degraded"]) == 2)
    )
    answer = service.ask(USER).json()
    for sentence in answer["degraded"]:
        print(f"  degraded: {sentence}")
    made = {"served_from": "", "degraded": []}
    lesson.check("the databases answered", answer["served_from"] == "database")
    lesson.check("what they answered is the same", answer | made == healthy | made)
    ready = service.http.get("/ready")
    lesson.check("it is still ready for requests", ready.is_success and ready.json()["ready"])
    for name in ("redis", "rabbitmq"):
        service.cables[name].plug_in()
    whole = comes_true(lambda: service.ask(USER).json()["degraded"] == [])
    lesson.check("plugged in again, all is as before", whole)
    all_stored = comes_true(lambda: service.stored() == service.given())
    lesson.check("analytics has every answer, once", all_stored)


def without_database(lesson: Lesson, service: Service) -> None:
    """PostgreSQL goes away, and wrong is worse than nothing.

    What Redis has is still right and still goes out. For everybody else there is no answer without
    PostgreSQL, so the service says 503, why, and when to try again. /ready says no as well, and a
    load balancer would now send requests elsewhere.
    """
    service.cables["postgres"].pull()
    lesson.check("who is in Redis is served", service.ask(USER).json()["served_from"] == "redis")
    refused = service.ask(USER + 2)
    print(f"  {refused.status_code}: {refused.json()['reason']}")
    lesson.check("who is not gets 503", refused.status_code == 503)
    wait = refused.headers["Retry-After"]
    lesson.check("with a time to come back", wait.isdigit(), f"Retry-After: {wait}")
    lesson.check("/ready says no", service.http.get("/ready").status_code == 503)
    lesson.check(
        "/health says yes: a restart would not help", service.http.get("/health").is_success
    )
    service.cables["postgres"].plug_in()
    lesson.check(
        "plugged in again, it answers", comes_true(lambda: service.ask(USER + 2).is_success)
    )


def for_people_and_programs(lesson: Lesson, service: Service) -> None:
    """A page for people, a description for programs.

    The page shows a user, the recommendations and which tier answered. It loads nothing from the
    internet, and its rules forbid any script that is not ours. OpenAPI describes every route, every
    error included, with examples: clients and tests are made from it.
    """
    page = service.http.get("/")
    rules = page.headers["Content-Security-Policy"]
    lesson.check("the page loads from this service only", rules.startswith("default-src 'self'"))
    spec = service.http.get("/openapi.json").json()
    route = spec["paths"]["/api/users/{user_id}/personalized-recommendations"]["get"]
    statuses = sorted(route["responses"])
    named = ", ".join(statuses)
    lesson.check("OpenAPI names every error", named == "200, 401, 404, 422, 429, 503", named)
    example = spec["components"]["schemas"]["Answer"]["examples"][0]
    lesson.check("its example has the fields of a real answer",
                 set(example) == set(service.ask(USER).json()))  # fmt: skip


def when_not(lesson: Lesson, service: Service) -> None:
    """When not to build it so, and what changes at 1,000 times the size.

    - Few requests, or one database that answers in 5 ms: leave out the cache. Every copy of the
      truth is a copy that can be old: here, up to an hour.
    - The answer must be right to the second (stock, prices, balances): do not keep it, or delete it
      with every change (lesson 03).
    - Events that are money: write them in the transaction of the payment (lesson 04). Ours are page
      views: a process that is killed loses those of the last 50 ms.
    - 2 million users: still one row and one document each, by primary key. The same service, in
      more processes, behind a load balancer. Then the rate limit has to be shared, and each process
      loads for itself; the lease of lesson 03 can let one load for all.
    - 1,000 times the requests: compute ahead. A nightly job writes all 2 million answers, and a
      request only reads. Then no answer is cold, and the databases are out of the request's way.
    - 1,000 times the events: a log such as Kafka, read in order by many, instead of a queue.
    """
    answers = service.metric('recommendations_answers_total{tier="redis"}')
    loads = service.metric("recommendations_loads_total")
    lesson.check("even here, most answers came from Redis", answers > loads)


STORY = (what_there_is, first_answer, second_answer, refusals, one_load, rate_limit,
         where_the_time_goes, analytics, without_cache_and_broker, without_database,
         for_people_and_programs, when_not)  # fmt: skip


def stay_up(started: Started) -> None:
    """Leave the service running until Ctrl-C, or until it ends by itself."""
    key = next(iter(KEYS))
    print(f"\nThe page: {started.url}/#user={USER}&key={key}")
    print(f"A request: curl -H 'X-API-Key: {key}' {started.url}{path(USER)}")
    print("Ctrl-C ends the service and removes what it made.", flush=True)
    started.process.wait()
    print("Nobody asked for a while: the service has ended.")


def options(parser: argparse.ArgumentParser) -> None:
    """The lesson's own flag."""
    parser.add_argument("--serve", action="store_true", help="leave the service running at the end")


def main(lesson: Lesson) -> None:
    """Prepare, start the service and its consumer as processes, and walk through."""
    own = replace(from_environment(), name="data_06", api_keys=KEYS, rate=600, burst=600)
    print("\nPreparing tables, documents, queues and the model; starting the service …")
    with ExitStack() as ends:
        settings = ends.enter_context(prepared(own))
        cables = {
            name: ends.enter_context(Cable(getattr(settings, name)))
            for name in ("postgres", "redis", "rabbitmq")
        }
        through = {name: cable.url for name, cable in cables.items()}
        ends.enter_context(process.storing(settings))
        for_ever = ["--idle-minutes", "inf"] if sys.stdin.isatty() else []
        started = ends.enter_context(process.service(replace(settings, **through), *for_ever))
        headers = {"X-API-Key": next(iter(KEYS))}
        client = httpx.Client(base_url=started.url, headers=headers, timeout=60)
        service = Service(settings, ends.enter_context(client), cables)
        for part in STORY:
            lesson.step(part, lesson, service)
        if lesson.options.serve:
            stay_up(started)


if __name__ == "__main__":
    run(main, options)
