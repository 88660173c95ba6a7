"""How often is asked, how long is waited, and which errors come out."""

from course.exercises import expect, expect_error, require


class Server:
    """Raises what it is told to, one error a call, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.asked, self.waits = list(errors), 0, []

    async def ask(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


async def check_at_once(their):
    """A server that answers is asked once."""
    server = Server()
    expect(await their.get(server.ask, server.sleep), "answer")
    expect((server.asked, server.waits), (1, []), "(times asked, seconds waited)")


async def check_again(their):
    """After each failure the wait doubles."""
    server = Server(their.Busy(), their.Busy(), their.Busy())
    expect(await their.get(server.ask, server.sleep), "answer")
    expect(server.waits, [1, 2, 4], "1 s after the first failure, twice as long after each next.")


async def check_last(their):
    """The last failure comes out, and nobody waits for it."""
    server = Server(*(their.Busy() for _ in range(9)))
    with expect_error(their.Busy, "When the last attempt fails, its error must come out."):
        await their.get(server.ask, server.sleep, attempts=3)
    expect(server.asked, 3, "attempts=3 means three calls, the first one included.")
    expect(server.waits, [1, 2], "After the last attempt there is nothing to wait for.")


async def check_refused(their):
    """What will never work is not tried again."""
    server = Server(their.Refused())
    with expect_error(their.Refused, "Refused must come out at once."):
        await their.get(server.ask, server.sleep)
    expect(server.asked, 1, "Only Busy is worth another try.")


async def check_bugs(their):
    """Other errors are bugs, and come out."""
    server = Server(KeyError("a bug"))
    with expect_error(KeyError, "Catch Busy, not every Exception: bugs must be seen."):
        await their.get(server.ask, server.sleep)
    require(server.asked == 1, f"a KeyError was tried {server.asked} times, it is a bug")
