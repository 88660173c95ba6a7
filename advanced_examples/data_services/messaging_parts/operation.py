"""Daily operation: long work, shutdown, the broker's version, and when to do without a queue."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pika
from pika.exceptions import AMQPError
from shop_profile import rabbit_kit
from shop_profile.crew import Crew, interrupt, until
from shop_profile.messages import open_channel, publish
from shop_profile.rabbit_kit import queues, waiting

from course import connect
from course.lesson import Lesson
from course.measure import seconds
from messaging_parts.common import EXCHANGE, PREFIX, group, sign_up

LONG, HEARTBEAT = 5, 1  # seconds
SAID = {True: "yes", False: "no"}
DIFFERENCES = (
    # what a broker does, how we try it, what older versions do, and since when it is the opposite
    ("has a delivery limit that nobody set", rabbit_kit.has_a_limit_of_its_own, False, (4, 0)),
    ("counts basic_nack for the limit", rabbit_kit.counts_a_nack, True, (4, 3)),
    ("takes shared queues that are not durable", rabbit_kit.takes_transient_queues, True, (4, 3)),
)


def hold_and_ack(queue: str, in_thread: bool) -> str:
    """Work long on one message, over a connection with a short heartbeat: what came of it."""
    parameters = pika.URLParameters(connect.url("rabbitmq"))
    parameters.heartbeat = HEARTBEAT
    try:
        with pika.BlockingConnection(parameters) as connection:
            channel = open_channel(connection, prefetch=1)
            method, _, _ = next(channel.consume(queue))
            ack = partial(channel.basic_ack, method.delivery_tag)
            if not in_thread:
                time.sleep(LONG)
                ack()
            else:

                def work() -> None:
                    time.sleep(LONG)
                    connection.add_callback_threadsafe(ack)

                thread = threading.Thread(target=work)
                thread.start()
                while thread.is_alive():
                    connection.process_data_events(time_limit=0.1)  # answers heartbeats
            connection.process_data_events(time_limit=0)
    except AMQPError as error:
        return type(error).__name__
    return "acknowledged"


def long_work(lesson: Lesson) -> None:
    """Long work belongs in a thread: the heartbeat must go on.

    While your callback works, pika can't answer the broker's heartbeats. After two missed ones the
    broker takes you for dead, closes the connection and gives the message to somebody else, for
    whom it is as long. (Usually the heartbeat is 60 s; here it is 1 s, and the work takes 5 s.)
    Hand the work to a thread. A connection belongs to one thread, so the worker asks that one to
    acknowledge: `connection.add_callback_threadsafe`.
    """
    films = group("films")
    with queues(films) as channel, ThreadPoolExecutor() as pool:
        for user in (1, 2):
            publish(channel, EXCHANGE, sign_up(user))
        both = [pool.submit(hold_and_ack, films.work, in_thread) for in_thread in (False, True)]
        blocking, threaded = (future.result() for future in both)
        lesson.check("in the callback: the connection is gone", blocking != "acknowledged")
        lesson.check("in a thread: acknowledged", threaded == "acknowledged")
        until(lambda: waiting(channel, films.work) == 1)
        method, _, _ = channel.basic_get(films.work)
        lesson.check("the first one's message is back, redelivered", method.redelivered)


def shutdown(lesson: Lesson) -> None:
    """Graceful shutdown: SIGTERM finishes the message in hand.

    Deployments stop processes all day. SIGTERM means: finish what you have, take nothing new, close
    the connection. The handler of the signal only sets a flag; the loop looks at it between two
    messages. Whoever needs longer than the grace period (Kubernetes: 30 s) is killed with -9, and
    that must be safe as well, as it was above.
    """
    last = group("last")
    with queues(last) as channel, Crew() as crew:
        for user in (1, 2):
            publish(channel, EXCHANGE, sign_up(user))
        worker = crew.consume(last, "w", "--seconds", max(lesson.delay(2), 1))
        crew.hear("of user 1")
        interrupt(worker)
        heard = crew.hear("w: ", 2)
        code = worker.wait()
        lesson.check("it finished user 1, then ended", heard == ["w: done 1", "w: ended"])
        lesson.check("with exit code 0", code == 0)
        lesson.check("user 2's message waits for another", waiting(channel, last.work) == 1)


def versions(lesson: Lesson) -> None:
    """What this broker does, and what another version does.

    The course runs on RabbitMQ 3.10 and newer. We use what all of them share: durable quorum
    queues, a delivery limit that we set, an attempt header that we count. Here is where they
    differ; each line was tried on your broker a moment ago. Mirrored classic queues are gone since
    4.0: quorum queues replace them.
    """
    with connect.rabbitmq() as connection:
        found = rabbit_kit.version(connection)
        rows = []
        for what, probe, before, since in DIFFERENCES:
            here = probe(connection, f"{PREFIX}probe")
            rows.append(
                (what, SAID[before], f"{since[0]}.{since[1]}", SAID[not before], SAID[here])
            )
            expected = before if found < since else not before
            lesson.check(f"{what}: as its version should", here == expected, SAID[here])
    lesson.table(rows, ["what a broker does", "at first", "since", "it is", "yours"])


def no_queue(lesson: Lesson) -> None:
    """When not to use a queue, and what changes at 1000 times the size.

    Use none when the caller needs the answer now: a call is simpler and faster, as you see here.
    None for one slow job a night: a cron job does. None where a table with `SKIP LOCKED` is
    enough: a few hundred jobs a second, and one service less to run. And a queue does not make slow
    work fast. If messages come faster than they are done, it only grows: watch its length.

    At a thousand times the size: publish with many confirms under way; spread keys over several
    queues (one quorum queue is one Raft log, some 10,000 messages a second); three or five nodes;
    delete old processed ids, partition by partition, later than anything can be replayed; read the
    outbox from the database's log (Debezium). To keep events and read them again, use a stream or
    Kafka: a queue forgets what was acknowledged.
    """
    with queues(group("ask")) as channel:
        answers = channel.queue_declare("", exclusive=True).method.queue

        def ask() -> None:
            publish(channel, EXCHANGE, sign_up(1))
            channel.basic_ack(channel.basic_get(group("ask").work)[0].delivery_tag)
            channel.basic_publish("", answers, b"42", mandatory=True)
            channel.basic_get(answers, auto_ack=True)

        queued, called = seconds(ask, times=50) / 50, seconds(lambda: sign_up(1), times=50) / 50
    lesson.check("to ask through a queue is over 3x slower than to call", queued > 3 * called,
                 f"{queued * 1000:.1f} ms against {called * 1000:.3f} ms")  # fmt: skip
