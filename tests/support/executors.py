"""Executors that leave nothing to the scheduler of a busy machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any


class InlineExecutor(Executor):
    """Runs a function before `submit` returns, in the thread that submits it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class PromptExecutor(ThreadPoolExecutor):
    """Starts a function before `submit` returns, if a thread is free.

    A time limit then measures what the function does, and not how long a slow machine takes to start it.
    """

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self._threads_at_most = threads
        self._submitted: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        is_free = sum(future.running() for future in self._submitted) < self._threads_at_most
        future = super().submit(fn, *args, **kwargs)
        self._submitted.append(future)
        while is_free and not (future.running() or future.done()):
            threading.Event().wait(0.001)
        return future
