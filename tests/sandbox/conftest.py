"""What the tests of the stand-ins share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.sandbox.journal import Journal
from bot.sandbox.oms_server import OmsStandIn
from bot.sandbox.oms_world import demo_world
from tests.sandbox.oms import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def oms(clock: Clock) -> Iterator[OmsStandIn]:
    stand_in = OmsStandIn(demo_world(clock), Journal())
    stand_in.server.start()
    yield stand_in
    stand_in.server.stop()
