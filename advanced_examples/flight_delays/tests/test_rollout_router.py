"""The router between small servers: what it passes on, to whom it turns, what it counts.

The servers are real ones on real sockets; the service itself stands behind it in the course's tests
(tests/flights/test_flight_rollout.py).
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from src import paths
from src.rollout import ab, router
from src.rollout.canary import arguments as canary_arguments
from src.rollout.control import Control
from src.rollout.proxy import LARGEST_BODY

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
FLIGHT = {"route": "JFK-LAX", "flight_id": "AA1"}


async def listen(ends: AsyncExitStack, handler: Handler) -> str:
    """The URL of a server that answers by `handler`."""
    runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    ends.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


class Peer:
    """A backend that says its name, and what it was asked; `fault` changes how it answers."""

    def __init__(self, name: str) -> None:
        self.name, self.fault, self.asked = name, "", []
        self.headers: dict[str, str] = {}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/ready":
            return web.Response(status=200 if self.fault != "unready" else 503)
        self.asked.append((request.method, request.raw_path, await request.read()))
        self.headers = dict(request.headers)
        if self.fault == "break":
            request.transport.close()
        if self.fault in ("hang", "break"):
            await asyncio.sleep(60)
        status = 500 if self.fault == "error" else 200
        return web.json_response(
            {"by": self.name, "model_version": f"v-{self.name}"}, status=status,
            headers={"Connection": "X-Secret", "X-Secret": "1", "X-Kept": "2"},
        )  # fmt: skip


class Around:
    """A router with two stable backends and a candidate, and a client in front of it."""

    def __init__(self, *options: str) -> None:
        self.options, self.ends = options, AsyncExitStack()
        self.one, self.two, self.new = Peer("one"), Peer("two"), Peer("new")

    async def __aenter__(self) -> Around:
        urls = [await listen(self.ends, peer.answer) for peer in (self.one, self.two, self.new)]
        given = ["--stable", urls[0], "--stable", urls[1], "--candidate", urls[2]]
        self.control: Control = router.control(
            router.arguments([*given, "--patience", "0.3", *self.options])
        )
        self.control.proxy.open()
        self.ends.push_async_callback(self.control.proxy.close)
        self.url = await listen(self.ends, self.control.answer)
        self.http = await self.ends.enter_async_context(aiohttp.ClientSession(self.url))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.ends.aclose()

    async def predict(self, flight: Any = FLIGHT) -> tuple[int, str, dict[str, Any]]:
        """Status, side and answer."""
        async with self.http.post("/predict", json=flight) as got:
            return got.status, got.headers.get("X-Model-Side", ""), await got.json()

    async def put(self, **wanted: Any) -> tuple[int, dict[str, Any]]:
        async with self.http.put("/rollout", json=wanted) as got:
            return got.status, await got.json()


def test_requests_go_through_unchanged_but_for_what_belongs_to_one_connection() -> None:
    async def play() -> None:
        async with Around("--share", "1") as world:
            there = URL("/predict?a=%2F&b=1", encoded=True)
            sent = {"X-API-Key": "k", "Connection": "X-Private", "X-Private": "1", "X-Mine": "ü"}
            async with world.http.post(there, data=b"\x00\xff", headers=sent) as got:
                assert got.status == 200 and got.headers["X-Model-Side"] == "candidate"
                assert got.headers["X-Kept"] == "2" and "X-Secret" not in got.headers
            assert world.new.asked == [("POST", "/predict?a=%2F&b=1", b"\x00\xff")]
            assert world.new.headers["X-API-Key"] == "k" and world.new.headers["X-Mine"] == "ü"
            assert "X-Private" not in world.new.headers

    asyncio.run(play())


def test_only_predictions_are_split_and_the_same_flight_stays_on_its_side() -> None:
    async def play() -> None:
        async with Around("--share", "0.5") as world:
            for number in range(40):
                flight = {"flight_id": f"F{number}"}
                sides = {(await world.predict(flight))[1] for _ in range(2)}
                assert len(sides) == 1
            assert world.new.asked and world.one.asked and world.two.asked
            before = len(world.new.asked)
            async with world.http.get("/model-info") as got:
                assert got.headers["X-Model-Side"] == "stable"
            assert len(world.new.asked) == before

    asyncio.run(play())


@pytest.mark.parametrize(
    ("fault", "reason"), [("error", "500"), ("break", "broken"), ("hang", "timeout")]
)
def test_what_the_candidate_fails_the_stable_side_answers(fault: str, reason: str) -> None:
    async def play() -> None:
        async with Around("--share", "1") as world:
            world.new.fault = fault
            status, side, _ = await world.predict()
            assert (status, side) == (200, "stable")
            proxy = world.control.proxy
            assert dict(proxy.candidate.errors) == {reason: 1} and not proxy.stable.errors
            assert (proxy.saved, proxy.lost) == (1, 0)
            page = world.control.metrics.page().decode()
            assert f'flight_rollout_errors_total{{reason="{reason}",side="candidate"}} 1.0' in page

    asyncio.run(play())


def test_a_candidate_that_is_down_is_spared_and_blamed() -> None:
    async def play() -> None:
        async with Around("--share", "1") as world:
            world.new.fault = "unready"
            proxy = world.control.proxy
            for _ in range(2):
                await proxy.check(proxy.candidate.backends[0])
            assert (await world.predict())[:2] == (200, "stable")
            assert dict(proxy.candidate.errors) == {"down": 1} and proxy.candidate.asked == 1
            assert world.new.asked == []

    asyncio.run(play())


def test_the_stable_side_helps_itself_and_never_asks_the_candidate() -> None:
    async def play() -> None:
        async with Around() as world:
            world.one.fault = "break"
            assert [(await world.predict())[2]["by"] for _ in range(4)] == ["two"] * 4
            world.two.fault = "break"
            status, _, problem = await world.predict()
            assert status == 502 and "try again" in problem["reason"]
            assert world.new.asked == [] and world.control.proxy.lost == 1
            world.one.fault = world.two.fault = "error"
            assert (await world.predict())[:2] == (500, "stable")  # its own words, passed on

    asyncio.run(play())


def test_without_failover_only_what_was_surely_not_begun_is_repeated() -> None:
    async def play() -> None:
        async with Around("--no-failover", "--share", "1") as world:
            world.new.fault = "break"
            assert (await world.predict())[0] == 502
            assert not world.one.asked and not world.two.asked
            world.new.fault = "error"
            assert (await world.predict())[:2] == (500, "candidate")
            world.control.proxy.candidate.backends[0].url = "http://127.0.0.1:9"  # nobody there
            assert (await world.predict())[:2] == (200, "stable")

    asyncio.run(play())


def test_a_mirror_shows_the_candidate_every_prediction_and_the_caller_nothing_of_it() -> None:
    async def play() -> None:
        async with Around("--mirror") as world:
            world.new.fault = "error"
            for number in range(5):
                assert (await world.predict({"flight_id": f"F{number}"}))[1] == "stable"
            await world.http.get("/model-info")
            while world.control.proxy.candidate.errors["500"] < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert len(world.new.asked) == 5
            assert len(world.one.asked) + len(world.two.asked) == 6

    asyncio.run(asyncio.wait_for(play(), 10))


def test_a_body_that_the_service_would_refuse_does_not_reach_it() -> None:
    async def play() -> None:
        async with Around() as world:
            async with world.http.post("/predict", data=b"x" * (LARGEST_BODY + 1)) as got:
                assert got.status == 413 and (await got.json())["error"] == "too large"
            assert not world.one.asked and not world.two.asked

    asyncio.run(play())


def test_a_share_is_on_lease_and_its_holders_alone() -> None:
    async def play() -> None:
        async with Around() as world:
            clock = [0.0]
            world.control._clock = lambda: clock[0]
            mine = {"holder": "me", "lease_seconds": 10}
            assert (await world.put(share=0.1, **mine))[1]["share"] == 0.1
            status, said = await world.put(share=0.2, holder="you")
            assert status == 409 and "me has the share" in said["reason"]
            assert (await world.put(share=0.5, renew=True, **mine))[1]["share"] == 0.5
            clock[0] = 10.0
            world.control.expire()
            assert world.control.proxy.share == 0.0
            status, said = await world.put(share=0.5, renew=True, **mine)
            assert status == 409 and "yours no more" in said["reason"]
            await world.put(share=0.1, **mine)
            assert (await world.put(share=0, holder="you"))[1]["share"] == 0  # anybody may stop it
            page = world.control.metrics.page().decode()
            assert 'flight_rollout_decisions_total{decision="expired",limit=""} 1.0' in page

    asyncio.run(play())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "the body is not JSON"),
        (b"[]", '{"share": 0.1}'),
        (b'{"share": 1.5}', "from 0 to 1"),
        (b'{"share": true}', "from 0 to 1"),
        (b'{"share": NaN}', "from 0 to 1"),
        (b'{"share": 0.1, "sahre": 1}', "unknown: sahre"),
        (b'{"share": 0.1, "lease_seconds": -1}', "lease_seconds"),
        (b'{"share": 0.1, "accuracy": {"other": 1}}', "accuracy"),
    ],
)
def test_a_share_that_makes_no_sense_is_refused_with_what_to_send(body: bytes, says: str) -> None:
    async def play() -> None:
        async with Around() as world, world.http.put("/rollout", data=body) as got:
            assert got.status == 400 and says in (await got.json())["reason"]
            assert world.control.proxy.share == 0

    asyncio.run(play())


def test_with_a_key_only_who_has_it_may_look_and_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(router.KEY_VARIABLE, "secret")

    async def play() -> None:
        async with Around() as world:
            assert (await world.put(share=1))[0] == 401
            async with world.http.get("/rollout", headers={"X-Rollout-Key": "secret"}) as got:
                page = await got.json()
            assert page["share"] == 0 and json.dumps(page)
            async with world.http.get("/metrics") as got:
                assert got.status == 200 and "flight_rollout_share 0.0" in await got.text()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "--stable"),
        (["--stable", "https://a"], "http://host:port"),
        (["--stable", "http://a:99999"], "http://a:99999"),
        (["--stable", "http://a", "--share", "0.1"], "need a --candidate"),
        (["--stable", "http://a", "--share", "2"], "--share"),
        (["--stable", "http://a", "--candidate", "http://a/"], "given twice"),
        (["--stable", "http://a", "--host", "0.0.0.0"], "FLIGHTS_ROLLOUT_KEY"),
    ],
)
def test_a_router_that_makes_no_sense_does_not_start(
    given: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        router.main(given)
    assert ended.value.code == 2 and says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "--router"),
        (["--steps", "50", "10"], "must rise"),
        (["--steps", "10", "110"], "must rise"),
        (["--steps", "0", "10"], "must rise"),
        (["--window", "0"], "--window"),
        (["--windows", "0"], "1 or more"),
    ],
)
def test_a_canary_that_makes_no_sense_does_not_start(
    given: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there = ["--router", "http://127.0.0.1:9"] if given else []
    with pytest.raises(SystemExit) as ended:
        canary_arguments([*there, *given])
    assert ended.value.code == 2 and says in capsys.readouterr().err


def test_every_command_of_the_guide_is_one_that_the_commands_take() -> None:
    """docs/ROLLOUT.md; the course's tests follow it whole."""
    takes = {"router": router.arguments, "canary": canary_arguments, "ab": ab.arguments}
    guide = (paths.PROJECT / "docs" / "ROLLOUT.md").read_text(encoding="utf-8")
    found = re.findall(r"-m src\.rollout\.(\w+) (.*)", guide)
    assert {name for name, _ in found} == set(takes)
    for name, given in found:
        takes[name](shlex.split(given, comments=True))
