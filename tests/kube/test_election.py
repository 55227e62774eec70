"""The shell of an election against a server on loopback that keeps one Lease; the machine's own tests are dialogues."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Self

from aiohttp import web
from tests.kube.apiserver import forever, refusal, scripted

from contour.kube.client import Client
from contour.kube.election import Election
from contour.kube.kubeconfig import Configuration, User
from contour.kube.lease import Acquired, Holder, Lost, News, Timing, Trouble, Well

QUICK = Timing(lease=2, renew=1.2, retry=0.3)
COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/projectcontour/leases"
PATIENCE = 20  # seconds: a busy machine takes its time


class Leases:
    """A server's one Lease, with its rules on versions. `instead` may answer before them."""

    def __init__(self, spec: dict | None = None) -> None:
        self.lease: dict | None = None
        self.version = 0
        self.instead = lambda _request: None
        self.writes: list[tuple[str, str, dict]] = []
        if spec is not None:
            self.keep({"metadata": {"name": "leader-elect", "labels": {"kept": "yes"}}, "spec": spec})

    def keep(self, lease: dict) -> web.Response:
        self.version += 1
        lease["metadata"]["resourceVersion"] = str(self.version)
        self.lease = lease
        return web.json_response(lease)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        answer = self.instead(request)
        if answer is not None:
            return await answer if asyncio.iscoroutine(answer) else answer
        if request.method == "GET":
            return web.json_response(self.lease) if self.lease else refusal(404, "NotFound", "no such lease")
        sent = json.loads(await request.read())
        self.writes.append((request.method, request.path, sent))
        if request.method == "POST":
            return refusal(409, "AlreadyExists", "it is there") if self.lease else self.keep(sent)
        if self.lease is None:
            return refusal(404, "NotFound", "no such lease")
        if sent["metadata"]["resourceVersion"] != str(self.version):
            return refusal(409, "Conflict", "it has changed")
        return self.keep(sent)

    @property
    def holder(self) -> str | None:
        return self.lease and self.lease["spec"].get("holderIdentity")


class Candidate:
    def __init__(self, configuration: Configuration) -> None:
        self.news: list[News] = []
        self._heard = asyncio.Event()
        self.client = Client(configuration)
        self.election = Election(
            self.client, "projectcontour", "leader-elect", identity="me", timing=QUICK, tell=self._hear
        )

    def _hear(self, news: News) -> None:
        self.news.append(news)
        self._heard.set()

    async def until(self, *news: News) -> None:
        """Until exactly that has been told since the start."""
        async with asyncio.timeout(PATIENCE):
            while self.news != list(news):
                self._heard.clear()
                await self._heard.wait()

    async def stopped(self) -> None:
        self.election.stop()
        await asyncio.wait_for(asyncio.shield(self.task), PATIENCE)

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.election.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.client.close()


async def test_a_lease_is_made_and_given_back():
    leases = Leases()
    async with scripted(leases.answer) as server, Candidate(server.configuration()) as me:
        await me.until(Acquired())
        assert me.election.leading
        await me.stopped()
    assert not me.election.leading
    assert me.news == [Acquired(), Lost("stopped")]
    (method, path, made), *later = leases.writes
    assert (method, path) == ("POST", COLLECTION)
    assert (made["kind"], made["metadata"]["name"]) == ("Lease", "leader-elect")
    assert (made["spec"]["holderIdentity"], made["spec"]["leaseTransitions"]) == ("me", 0)
    assert {(method, path) for method, path, _ in later} == {("PUT", f"{COLLECTION}/leader-elect")}
    assert leases.holder == ""


async def test_a_lease_that_nobody_holds_keeps_what_others_wrote_into_it():
    leases = Leases({"holderIdentity": "", "leaseTransitions": 4, "strategy": "OldestEmulationVersion"})
    async with scripted(leases.answer) as server, Candidate(server.configuration()) as me:
        await me.until(Acquired())
    assert leases.lease is not None
    assert leases.lease["metadata"]["labels"] == {"kept": "yes"}
    assert leases.lease["spec"]["leaseTransitions"] == 5


async def test_another_one_makes_the_lease_first():
    leases = Leases()
    held = {"holderIdentity": "you", "leaseDurationSeconds": 15}

    def instead(request: web.Request) -> None:
        if request.method == "POST" and leases.lease is None:
            leases.keep({"metadata": {"name": "leader-elect"}, "spec": held})

    leases.instead = instead
    async with scripted(leases.answer) as server, Candidate(server.configuration()) as me:
        await me.until(Holder("you"))
        await me.stopped()
    assert me.news == [Holder("you")]
    assert leases.holder == "you"


async def test_a_lease_that_is_deleted_under_its_leader_is_made_again():
    leases = Leases()
    async with scripted(leases.answer) as server, Candidate(server.configuration()) as me:
        await me.until(Acquired())
        leases.lease = None
        async with asyncio.timeout(PATIENCE):
            while leases.holder != "me":  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.02)
    assert me.news == [Acquired()]
    assert [method for method, _, _ in leases.writes].count("POST") == 2


async def test_an_answer_that_is_no_lease():
    leases = Leases()
    broken = [True]
    leases.instead = lambda _: web.Response(text="<html>") if broken else None
    async with scripted(leases.answer) as server, Candidate(server.configuration()) as me:
        async with asyncio.timeout(PATIENCE):
            while not me.news:  # noqa: ASYNC110  # its text is not ours
                await asyncio.sleep(0.02)
        (trouble,) = me.news
        assert isinstance(trouble, Trouble)
        assert trouble.text.startswith("Lease projectcontour/leader-elect: not a Lease: ")
        broken.clear()
        await me.until(trouble, Well(), Acquired())


async def test_a_server_that_falls_silent_takes_the_leadership_away_in_time():
    leases = Leases()
    async with scripted(leases.answer) as server, Candidate(server.configuration()) as me:
        await me.until(Acquired())
        leases.instead = lambda _: forever()
        async with asyncio.timeout(PATIENCE):
            while me.election.leading:  # noqa: ASYNC110  # time passes
                await asyncio.sleep(0.02)
        leases.instead = lambda _: None
        async with asyncio.timeout(PATIENCE):
            while me.news[-1] != Acquired() or len(me.news) == 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert [type(news) for news in me.news] == [Acquired, Trouble, Lost, Well, Acquired]
    assert "the API server did not answer for" in str(me.news[1])


async def test_stop_does_not_wait_for_a_silent_server_for_ever():
    leases = Leases()
    async with scripted(leases.answer) as server, Candidate(server.configuration()) as me:
        await me.until(Acquired())
        leases.instead = lambda _: forever()
        await me.stopped()
    assert [news for news in me.news if isinstance(news, Lost)] == [Lost("stopped")]


async def test_stop_while_a_renewal_is_under_way():
    leases = Leases()
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> web.StreamResponse:
        under_way.set()
        await go_on.wait()
        leases.instead = lambda _: None
        return web.json_response(leases.lease)

    async with scripted(leases.answer) as server, Candidate(server.configuration()) as me:
        await me.until(Acquired())
        leases.instead = lambda request: slow() if request.method == "PUT" else None
        await asyncio.wait_for(under_way.wait(), PATIENCE)
        me.election.stop()
        go_on.set()
        await asyncio.wait_for(asyncio.shield(me.task), PATIENCE)
    assert me.news[-1] == Lost("stopped")
    assert leases.holder == ""


async def test_a_process_that_was_stopped_for_long_knows_it_before_it_has_noticed():
    leases = Leases()
    async with scripted(leases.answer) as server, Candidate(server.configuration()) as me:
        await me.until(Acquired())
        time.sleep(QUICK.renew + 0.1)  # noqa: ASYNC251  # nothing of this process goes on meanwhile
        assert me.news == [Acquired()]
        assert not me.election.leading


async def test_whoever_is_cancelled_gives_nothing_back():
    leases = Leases()
    async with scripted(leases.answer) as server, Candidate(server.configuration()) as me:
        await me.until(Acquired())
        me.task.cancel()
        await asyncio.gather(me.task, return_exceptions=True)
    assert leases.holder == "me"


async def test_credentials_that_cannot_be_had_are_a_trouble_that_passes(tmp_path):
    leases, token = Leases(), tmp_path / "token"
    async with scripted(leases.answer) as server, Candidate(server.configuration(User(token_file=token))) as me:
        await me.until(Trouble(f"Lease projectcontour/leader-elect: {token}: No such file or directory"))
        token.write_text("t")
        await me.until(
            Trouble(f"Lease projectcontour/leader-elect: {token}: No such file or directory"), Well(), Acquired()
        )
