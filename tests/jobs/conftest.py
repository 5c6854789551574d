"""The bot's jobs in the process of the tests, in front of a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bot.jobs.context import Context
from bot.sandbox.system import Sandbox
from tests.support.in_process import context_of


@pytest.fixture
def inside(new_sandbox: Callable[..., Sandbox]) -> Iterator[tuple[Sandbox, Context]]:
    """An open sandbox, and the context of a bot whose workers and connection to Slack are not started."""
    sandbox = new_sandbox()
    with context_of(sandbox) as context:
        yield sandbox, context
