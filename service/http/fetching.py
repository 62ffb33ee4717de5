"""Fetches from an event loop: what comes in one turn of it is recorded together, and only then answered.

A batch that is smaller than the one before waits for further turns of the loop, until one brings nothing new or it has
that size: whoever asks at the same time is in the same batch, and a batch costs little more than one fetch.
"""

import asyncio
import contextlib
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from starlette.types import Receive, Scope

from service.core.access import Caller
from service.core.errors import KeywrightError, StoreUnreachable, Unavailable
from service.http.peer import peer_of
from service.http.waiting import Changes, matches
from service.keeper.asked import Asked, Known, Told, Unready, Who, nothing
from service.keeper.keeper import Keeper
from service.keeper.recorder import MOST

log = structlog.get_logger("http")


class Fetching:
    """For one event loop, which is the one that it is first used in."""

    def __init__(self, keeper: Keeper, changes: Changes) -> None:
        self._keeper = keeper
        self._recorder = keeper.recorder
        self._changes = changes
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batch: list[Asked] = []
        self._seen = self._former = 0
        self.batches = 0
        """How many were recorded, or failed to be."""
        self._noting = set[str]()

    async def told(self, scope: Scope, receive: Receive, asked: Asked, wait: float = 0) -> Told[Any]:
        """What it came to; as soon as there is news, or what is known after so many seconds or when the server stops.

        Raises its refusal, and ClientDisconnect when the client goes away while it waits.
        """
        loop, peer = asyncio.get_running_loop(), peer_of(scope)
        deadline = loop.time() + wait
        told: Told[Any] | None = None
        while True:
            try:
                told = await self.recorded(asked, receive)
            except StoreUnreachable:
                # Of what was known it is not known whether it changed: it is waited for, as long as there is time.
                if told is None or loop.time() >= deadline:
                    raise
            left = deadline - loop.time()
            if told.value is not None or left <= 0:
                return told
            asked.renew()  # what was read outside is not kept while it waits
            await self._changes.after(told.keys, asked.epoch, left, peer)
            if peer.leaving:
                return told
            asked.epoch = None  # what it was evaluated on may be the present still: it is evaluated again all the same

    async def caller(self, who: Who) -> Caller:
        """Who asks. Raises Unauthenticated, Forbidden."""
        caller: Caller = await self.recorded(self._keeper.tokens.asked(who))
        return caller

    def noticed(self, caller: Caller) -> None:
        """Note now and then that this caller's session is in use, in a thread: nobody waits for it."""
        if caller.id in self._noting or not self._keeper.sessions.due(caller):
            return
        self._noting.add(caller.id)

        def note() -> None:
            try:
                self._keeper.sessions.used(caller)
            except KeywrightError as error:  # it ends sooner, and nothing else is the matter
                log.warning("that a session is in use was not noted", reason=error.message)
            finally:
                self._noting.discard(caller.id)

        asyncio.get_running_loop().run_in_executor(None, note)

    async def recorded(self, asked: Asked, receive: Receive | None = None) -> Any:
        """What it came to, recorded. Raises its refusal. By `receive` it hears when the client goes away."""
        asked.over = _answered
        while True:
            self.submit(asked)
            asked.answer = asyncio.get_running_loop().create_future()
            await asked.answer
            if asked.error is None:
                return asked.result
            if not isinstance(asked.error, Unready):
                raise asked.error
            await _prepared(asked, asked.error, receive)

    def submit(self, asked: Asked) -> None:
        """Evaluate it, and have it recorded with what else comes; its `over` is called in this loop."""
        self._recorder.evaluate(asked)
        self._batch.append(asked)
        if len(self._batch) == 1:
            self._seen = 0
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._record)

    def _record(self) -> None:
        loop = self._loop
        assert loop is not None  # something was submitted from it  # noqa: S101
        came = len(self._batch)
        if self._seen < came < self._former:
            self._seen = came
            loop.call_soon(self._record)  # once more, for what has come meanwhile
            return
        self._former = min(came, MOST)
        self.batches += 1
        batch, self._batch = self._batch, []
        if self._recorder.record_at_once(batch):
            tell(batch)
            return
        try:
            self._recorder.submit(batch, self._recorded)
        except KeywrightError as refusal:
            for asked in batch:
                asked.fail(refusal)
            tell(batch)

    def _recorded(self, batch: list[Asked]) -> None:
        """In a thread of the recorder's."""
        assert self._loop is not None  # something was submitted from it  # noqa: S101
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            self._loop.call_soon_threadsafe(tell, batch)


async def _prepared(asked: Asked, unready: Unready, receive: Receive | None) -> None:
    """Get what was missing, without a thread of its own where that is possible. Raises Unavailable to nobody."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(over.set)

    errand = unready.begin(tell)
    if errand is None:
        await run_in_threadpool(asked.prepared, unready)
        return
    asked.epoch = None
    gone = asyncio.create_task(_gone(receive)) if receive is not None else None
    came = asyncio.create_task(over.wait())
    try:
        await asyncio.wait({came, gone} if gone else {came}, timeout=errand.seconds, return_when="FIRST_COMPLETED")
    finally:
        errand.end()
        came.cancel()
        if gone is not None:
            gone.cancel()
    if gone is not None and gone.done() and not over.is_set():
        raise Unavailable("the client went away before it was answered")


async def _gone(receive: Receive) -> None:
    """Return when the client went away."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Unanswered(Exception):
    """A line of ours failed while a fetch was answered that had been recorded."""


def tell(batch: list[Asked]) -> None:
    """Each is told that it is over. One that fails at that is told so, and the others go on."""
    for asked in batch:
        over = asked.over
        if over is not None:
            try:
                over(asked)
            except Exception as error:  # noqa: BLE001 - the last place: logged without its message, not passed on
                log.error("a defect", where="answering a fetch", error=type(error).__name__)
                asked.fail(Unanswered())
                with contextlib.suppress(Exception):  # what failed once may fail again, and was told
                    over(asked)


def _answered(asked: Asked) -> None:
    if not asked.answer.done():  # whoever asked may be gone
        asked.answer.set_result(None)


def known_by(if_none_match: str | None) -> Known:
    """Does the header hold the tag?"""
    return nothing if if_none_match is None else lambda tag: matches(if_none_match, tag)


def _fetching_of(request: Request) -> Fetching:
    fetching: Fetching = request.app.state.fetching
    return fetching


TheFetching = Annotated[Fetching, Depends(_fetching_of)]
