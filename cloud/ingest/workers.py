"""Where batches are proven and stored: in processes of their own.

Hashing takes no time from the API then, and as many cores are used as there are.
"""

import asyncio
import contextlib
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from multiprocessing import connection

from cloud.errors import Busy
from cloud.ingest.take import Taken, Taker
from cloud.rewards.scoring import Terms

WAITING_AT_MOST = 2  # bodies a worker may have waiting: it never idles, and memory is bounded
_here = threading.local()


class Workers:
    """Takes batches, each in the next free worker; a worker that died is replaced.

    Args:
        url: A migrated database.
        timeout_s: How long a connection may take.
        processes: How many; with 0 a thread of this process does it, which suits tests.
    """

    def __init__(self, url: str, timeout_s: float, processes: int) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._processes = processes
        self._turns = asyncio.Semaphore(WAITING_AT_MOST * max(1, processes))
        self._executor = self._start()

    async def take(self, site_id: str, body: bytes, terms: Terms) -> Taken:
        """What ``Taker.take`` does, elsewhere.

        Raises:
            CloudError: As ``Taker.take``.
            Busy: The worker died under it; nothing of the batch is stored, or all of it.
        """
        async with self._turns:
            loop, executor = asyncio.get_running_loop(), self._executor
            try:
                return await loop.run_in_executor(executor, _take, site_id, body, terms)
            except BrokenExecutor as error:
                if executor is self._executor:
                    self._executor = self._start()
                raise Busy("an ingest worker died") from error

    async def close(self) -> None:
        """End the workers when they have finished what they do."""
        if isinstance(self._executor, ThreadPoolExecutor):
            self._executor.submit(_close)
        await asyncio.to_thread(self._executor.shutdown)

    def _start(self) -> Executor:
        arguments = (self._url, self._timeout_s)
        if not self._processes:
            return ThreadPoolExecutor(1, "ingest", _begin, arguments)
        context = multiprocessing.get_context("spawn")  # a fork would copy our connections
        return ProcessPoolExecutor(self._processes, context, _begin_process, arguments)


@asynccontextmanager
async def open_workers(url: str, timeout_s: float, processes: int) -> AsyncGenerator[Workers]:
    """The workers while the ``async with`` lasts."""
    workers = Workers(url, timeout_s, processes)
    try:
        yield workers
    finally:
        await workers.close()


def _begin(url: str, timeout_s: float) -> None:
    _here.taker = Taker(url, timeout_s)


def _begin_process(url: str, timeout_s: float) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)  # a batch makes 50,000 objects and no cycles
    _begin(url, timeout_s)


def _end_with(sentinel: int) -> None:
    """A worker whose parent was killed would wait for work for ever."""
    connection.wait([sentinel])
    os._exit(1)


def _take(site_id: str, body: bytes, terms: Terms) -> Taken:
    taker: Taker = _here.taker
    return taker.take(site_id, body, terms)


def _close() -> None:
    with contextlib.suppress(AttributeError):
        _here.taker.close()
