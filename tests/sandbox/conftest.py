"""Fixtures of the tests of the OMS stand-in: it runs on a clock that tests advance."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.sandbox.call_log import CallLog
from bot.sandbox.huawei.oms_server import OmsStandIn
from bot.sandbox.huawei.oms_state import media_state
from tests.sandbox.oms import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def oms(clock: Clock) -> Iterator[OmsStandIn]:
    stand_in = OmsStandIn(media_state(clock), CallLog())
    stand_in.server.start()
    yield stand_in
    stand_in.server.stop()
