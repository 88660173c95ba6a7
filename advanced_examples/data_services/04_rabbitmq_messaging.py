"""RabbitMQ messaging: answer at once, work later, and lose nothing on the way.

You will see a request that no longer waits for slow work, events that find their queues by topic,
and consumers that share a queue. Then things go wrong on purpose: messages that fail, kill their
consumer, or come twice. In the end each one has had its effect exactly once.

Run      python advanced_examples/data_services/04_rabbitmq_messaging.py
Needs    RabbitMQ, PostgreSQL
Minutes  90
Next     05_realworld_data_science.py
"""

import json
import statistics
import time
from contextlib import closing
from functools import partial
from itertools import pairwise

import pika
from messaging_parts.common import EXCHANGE, PREFIX, SCHEMA, group, open_database, points, sign_up
from messaging_parts.faults import outbox, poison
from messaging_parts.operation import long_work, no_queue, shutdown, versions
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import NackError, UnroutableError
from psycopg2.extensions import connection as Connection  # noqa: N812
from shop_profile import workers
from shop_profile.consuming import dead_letters, replay
from shop_profile.crew import Crew, until
from shop_profile.messages import Event, Topology, open_channel, publish
from shop_profile.rabbit_kit import consumers, queues, waiting

from course import connect
from course.lesson import Lesson, run
from course.measure import seconds
from course.workspace import own_schema

SEND_EMAIL, RECOMMEND = 5, 10  # seconds of work for each new user
LEAST = 0.1  # seconds of work that a busy machine can tell from its own pauses
DELAYS = (1, 2, 4)  # seconds before attempts 2, 3 and 4
CLAIM = """
    INSERT INTO processed_events (consumer, event_id) VALUES ('points', %s) ON CONFLICT DO NOTHING
"""
REWARD = """
    INSERT INTO points VALUES (%s, 10)
    ON CONFLICT (user_id) DO UPDATE SET points = points.points + excluded.points
"""
TABLES = workers.TABLES + "CREATE TABLE users (user_id integer PRIMARY KEY, email text NOT NULL)"


def request(lesson: Lesson) -> None:
    """What a request waits for, with and without a queue.

    Somebody signs up: the shop sends an e-mail (5 s) and works out recommendations (10 s). Either
    the request does that itself, or it publishes `user.created` on `user_events` and answers.
    Two consumers do the work then, side by side. In the second case "answered" means: the broker
    has the event on disk. The e-mail comes later, so tell the user "on its way", not "sent".

    Do it by hand in two terminals, then start a second consumer, and stop one with Ctrl-C:

      python -m shop_profile.workers consume emails --seconds 1
      python -m shop_profile.workers publish user.created
    """
    emails, offers, seen = group("emails"), group("recommendations"), group("analytics", "user.#")
    tasks = {"send_email": SEND_EMAIL, "generate_recommendations": RECOMMEND}
    with queues(emails, offers, seen) as channel, Crew() as crew:
        idle = ("--idle", 60)  # they may wait for us while we do the work ourselves
        crew.consume(emails, "send_email", "--seconds", lesson.delay(SEND_EMAIL), *idle)
        crew.consume(
            offers, "generate_recommendations", "--seconds", lesson.delay(RECOMMEND), *idle
        )
        alone = sum(seconds(partial(time.sleep, lesson.delay(each))) for each in tasks.values())
        until(lambda: consumers(channel, emails.work) == consumers(channel, offers.work) == 1)
        events = [sign_up(123), *(sign_up(user, "user.viewed") for user in range(40))]
        start = time.perf_counter()
        waits = [seconds(partial(publish, channel, EXCHANGE, event)) for event in events]
        crew.hear("done 123", times=2)
        together = time.perf_counter() - start
    answer = statistics.median(waits)
    rows = [("does the work", alone, alone), ("publishes an event", answer, together)]
    columns = ["the request …", "the user waits, s", "all done after, s"]
    lesson.table(rows, columns, measured=True)
    lesson.console.say(f"on the wire: {', '.join(json.loads(events[0].to_json()))}")
    quickest = min(waits)  # the others waited for a processor or a disk that was busy
    evidence = f"{quickest * 1000:.1f} ms, the quickest of {len(waits)}"
    lesson.check("the request answers within 15 ms", quickest < 0.015, evidence)
    lesson.check("without the queue it waits for all the work", alone > 100 * quickest)


def topics(lesson: Lesson) -> None:
    """A topic exchange: the publisher names what happened, each queue says what it wants.

    The routing key is the event's type, in words with dots between. In a binding `*` is exactly one
    word and `#` any number, none included. The publisher knows no consumer: a new one binds
    a queue of its own and gets its own copy from then on, not what came before.
    """
    kinds = ["user.created", "user.deleted", "user.email.changed", "order.created"]
    patterns = {"everything": "#", "user": "user.#", "one_word": "user.*", "new": "*.created"}
    groups = {pattern: group(name, pattern) for name, pattern in patterns.items()}
    got: dict[str, list[str]] = {}
    with queues(*groups.values()) as channel:
        for kind in kinds:
            publish(channel, EXCHANGE, sign_up(1, kind))
        for pattern, wanted in groups.items():
            count = waiting(channel, wanted.work)
            taken = [channel.basic_get(wanted.work)[1] for _ in range(count)]
            got[pattern] = [wire.type for wire in taken if wire]
    lesson.table(
        [(pattern, ", ".join(types)) for pattern, types in got.items()], ["binding", "got"]
    )
    lesson.check("* is exactly one word", got["user.*"] == kinds[:2])
    lesson.check("# is any number of words", got["user.#"] == kinds[:3] and got["#"] == kinds)


def confirms(lesson: Lesson) -> None:
    """Publisher confirms, and why they need `mandatory`.

    Without confirms `basic_publish` returns when the bytes are in a buffer of this computer. With
    them it returns when the broker has the message: persistent, on a durable queue, on disk. But
    a message that no queue wants is confirmed, too! `mandatory` sends it back. And a queue that
    is full (`reject-publish`) answers with a nack.

    A confirm costs a round trip and a write. Waiting for each one by one is slow; aio-pika may have
    hundreds under way at once (`publish_async` in shop_profile/messages.py).
    """
    with queues(group("confirmed")) as channel, connect.rabbitmq() as connection:
        channel.basic_publish(EXCHANGE, "typo.created", b"{}")
        gone = waiting(channel, group("confirmed").work) == 0
        lesson.check("without mandatory: confirmed, no error, and in no queue", gone)
        with lesson.expected_error(UnroutableError):
            channel.basic_publish(EXCHANGE, "typo.created", b"{}", mandatory=True)
        full = {"x-max-length": 1, "x-overflow": "reject-publish"}
        small = channel.queue_declare("", exclusive=True, arguments=full).method.queue
        channel.basic_publish("", small, b"{}", mandatory=True)
        with lesson.expected_error(NackError):
            channel.basic_publish("", small, b"{}", mandatory=True)
        speeds = {}
        for name, on in (("no confirms", connection.channel()), ("a confirm each", channel)):
            speeds[name] = 300 / seconds(partial(publish, on, EXCHANGE, sign_up(1)), times=300)
    lesson.table([(f"{speed:,.0f}", way) for way, speed in speeds.items()], ["messages/s", "way"],
                 measured=True)  # fmt: skip
    lesson.check("a confirm each is slower", speeds["a confirm each"] < speeds["no confirms"])


def receive(channel: BlockingChannel, queue: str, awaited: int) -> list[tuple[int, bool]]:
    """(delivery tag, redelivered) of the messages awaited, and of any that come soon after."""
    taken: list[tuple[int, bool]] = []
    while True:
        pause = 10 if len(taken) < awaited else 0.1  # seconds without a message
        method, _, _ = next(channel.consume(queue, inactivity_timeout=pause))
        if method is None:
            return taken
        taken.append((method.delivery_tag, method.redelivered))


def acknowledging(lesson: Lesson) -> None:
    """Manual ack and prefetch: a message belongs to the queue until you say that you are done.

    The broker remembers what it delivered. When a consumer's channel ends, by a crash as well,
    everything that it did not acknowledge goes back, marked `redelivered`. With `auto_ack` it would
    be lost. Prefetch is how many unacknowledged messages a consumer may hold. Without it the first
    one takes all, and the others stand idle.
    """
    with queues(group("acks")) as channel, connect.rabbitmq() as connection:
        for user in range(6):
            publish(channel, EXCHANGE, sign_up(user))
        queue = group("acks").work
        greedy, late = connection.channel(), connection.channel()
        lesson.check("without prefetch one consumer takes all", len(receive(greedy, queue, 6)) == 6)
        lesson.check("a second one finds nothing", receive(late, queue, 0) == [])
        late.close()
        greedy.close()
        modest = open_channel(connection, prefetch=2)
        tags = receive(modest, queue, 2)
        lesson.check("with a prefetch of 2 it gets two", len(tags) == 2)
        lesson.check("they are marked as redelivered", all(again for _, again in tags))
        modest.basic_ack(tags[0][0])
        lesson.check("one ack makes room for one more", len(receive(modest, queue, 1)) == 1)
        modest.close()
        until(lambda: waiting(channel, queue) >= 5)
        lesson.check("what was not acknowledged is back: 5 of 6", waiting(channel, queue) == 5)


def scaling(lesson: Lesson) -> None:
    """More consumers on one queue: they take turns.

    Each message goes to one of the queue's consumers, in turns among those with room in their
    prefetch. So you scale while everything runs: start one more process. Look at the letters. What
    you give up is order: with two consumers, message 2 may be done before message 1.
    """
    shared, turns, work = group("shared"), {}, max(lesson.delay(0.2), LEAST)
    with queues(shared) as channel, Crew() as crew:
        for count, name in enumerate("ABC", start=1):
            crew.consume(shared, name, "--seconds", work, "--idle", 60)
            until(lambda count=count: consumers(channel, shared.work) == count)
            turns[count] = ""
            for user in range(6):
                publish(channel, EXCHANGE, sign_up(user))
                turns[count] += crew.hear("done")[0][0]
        start = time.perf_counter()
        for user in range(12):
            publish(channel, EXCHANGE, sign_up(user))
        crew.hear("done", 12)
        together = time.perf_counter() - start
    lesson.table(turns.items(), ["consumers", "who did messages 1 to 6"])
    lesson.check("they take turns", list(turns.values()) == ["AAAAAA", "ABABAB", "ABCABC"])
    evidence = f"{12 * work:.2f} s of work in {together:.2f} s"
    lesson.check(
        "12 messages at once: three do more than one could", together < 12 * work, evidence
    )


def send_mail(
    channel: BlockingChannel, mails: Topology, full_until: dict[int, int]
) -> tuple[float, str]:
    """Take one message and settle it: (when it came, sent, published again for later or buried)."""
    method, wire, body = next(channel.consume(mails.work))
    came = time.perf_counter()
    user, attempt = json.loads(body)["user_id"], wire.headers["attempt"]
    said = f"user {user}, attempt {attempt}: sent"
    if attempt < full_until.get(user, 1):  # this mailbox is still full
        last = attempt > len(mails.retries)
        target = mails.dead if last else mails.retries[attempt - 1]
        headers = {"attempt": attempt + (not last), "error": "mailbox full"}
        again = pika.BasicProperties(headers=headers, delivery_mode=2)
        channel.basic_publish("", target, body, again, mandatory=True)  # first this one,
        said = f"user {user}, attempt {attempt}: to {target.removeprefix(PREFIX)}"
    channel.basic_ack(method.delivery_tag)  # then this one
    return came, said


def retrying(lesson: Lesson) -> None:
    """Retry later, then later still; then the dead-letter queue.

    A failed message must wait, or it fails again at once and keeps the others waiting. RabbitMQ has
    no "deliver later", but a queue that nobody reads may have a TTL. After that the message "dies"
    into the queue that the arguments name: the work queue. There is one waiting queue for
    each delay, since only the head of a queue expires. The attempt is counted in a header of ours:
    `redelivered` is a hint, not a counter. After the last attempt the message goes to the
    dead-letter queue. Look why, mend the cause, replay.

    Publish first, with a confirm, then acknowledge. Killed in between, you have the message twice;
    the other way round you would have lost it. (RabbitMQ 4.3 and newer can delay retries on quorum
    queues by itself. This way works on all versions.)
    """
    slow, fast = (group("mails", delays=tuple(d * f for d in DELAYS)) for f in (1.0, 0.1))
    mails, other = (fast, slow) if lesson.fast else (slow, fast)
    with queues(mails), queues(other), queues(mails, prefetch=1) as channel:
        for user in (1, 2, 3):
            publish(channel, EXCHANGE, sign_up(user))
        story = []
        while waiting(channel, mails.dead) == 0:
            story.append(send_mail(channel, mails, full_until={2: 3, 3: 99}))
        lesson.table([(text,) for _, text in story], ["what happened"])
        times = [at for at, text in story if text.startswith("user 3")]
        waits = [after - before for before, after in pairwise(times)]
        lesson.table(
            [(i, w) for i, w in enumerate(waits, 2)], ["attempt", "after s"], measured=True
        )
        enough = all(w >= 0.9 * d for w, d in zip(waits, mails.delays, strict=True))
        lesson.check("every wait is at least its queue's TTL", enough and len(waits) == 3)
        lesson.check("user 2 got the mail at attempt 3", "user 2, attempt 3: sent" in
                     [text for _, text in story])  # fmt: skip
        channel.cancel()
        (letter,) = dead_letters(channel.connection, mails)
        lesson.check("the dead letter says why", letter.reason == "mailbox full")
        until(lambda: waiting(channel, mails.dead) == 1)  # looking left it there
        lesson.check("replayed as a first attempt, it is sent", replay(channel, mails) == 1 and
                     send_mail(channel, mails, {})[1] == "user 3, attempt 1: sent")  # fmt: skip


def reward_once(database: Connection, event: Event) -> bool:
    """Ten points for the user; False when this event has had its effect already."""
    with database, database.cursor() as cursor:  # one transaction
        cursor.execute(CLAIM, (event.event_id,))
        if cursor.rowcount == 1:
            cursor.execute(REWARD, (event.user_id,))
        return cursor.rowcount == 1


def once(lesson: Lesson) -> None:
    """Twice delivered, once done: the idempotent consumer.

    "Exactly once" does not exist on the wire: who crashes after the commit and before the ack gets
    the message again. So the effect must be once. Write the event's id into a table in the same
    transaction as the effect: both are there, or neither. A duplicate finds its id there.

    Two consumers are killed with -9 at that very moment: a naive one, and one with the table.
    What leaves the database (a mail, a payment) can't be in the transaction: hand its receiver the
    event id as an idempotency key, or accept a rare second mail.
    """
    naive, careful = group("naive", "naive"), group("careful", "careful")
    with queues(naive, careful) as channel, Crew() as crew, closing(open_database()) as database:
        event = sign_up(1)
        lesson.check("the first time it counts", reward_once(database, event))
        lesson.check("the second time it does not", not reward_once(database, event))
        publish(channel, EXCHANGE, sign_up(2, "naive"))
        publish(channel, EXCHANGE, sign_up(3, "careful"))
        ways = {naive: ["--schema", SCHEMA, "--naive"], careful: ["--schema", SCHEMA]}
        doomed = [crew.consume(on, "d", *way, "--hang", "after-commit") for on, way in ways.items()]
        crew.hear("hangs after-commit", 2)
        for process in doomed:
            process.kill()
        for on, way in ways.items():
            crew.consume(on, "next", *way)
        crew.hear("done", 2)
        got = points(database)
    columns = ["the user of", "points"]
    lesson.table(zip(["this step", "naive", "careful"], got.values(), strict=True), columns)
    lesson.check("killed after commit, the naive consumer pays twice", got[2] == 20)
    lesson.check("with the table of processed ids the effect is once", got[3] == 10)


PARTS = (request, topics, confirms, acknowledging, scaling, retrying, poison, once, outbox,
         long_work, shutdown, versions, no_queue)  # fmt: skip


def main(lesson: Lesson) -> None:
    """Every part as a step; the lesson's schema is its turn on the broker as well."""
    with own_schema(SCHEMA, TABLES):
        for part in PARTS:
            lesson.step(part, lesson)


if __name__ == "__main__":
    run(main)
