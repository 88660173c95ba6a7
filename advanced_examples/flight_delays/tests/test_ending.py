"""A command that runs for days is asked to end: by each signal, also where loops know none."""

from __future__ import annotations

import asyncio
import signal

import pytest

from src.ending import asked_to_end


class WithoutSignals(asyncio.SelectorEventLoop):
    """A loop as Windows has it."""

    def add_signal_handler(self, *_: object) -> None:
        """What every loop says there."""
        raise NotImplementedError


async def until_asked(number: signal.Signals) -> None:
    """Ask this process to end while it waits for that."""
    stop = asked_to_end()
    asyncio.get_running_loop().call_later(0.02, signal.raise_signal, number)
    await asyncio.wait_for(stop.wait(), 10)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, WithoutSignals])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_each_signal_is_heard(
    loop: type[asyncio.AbstractEventLoop], number: signal.Signals
) -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(until_asked(number))
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
