"""The plan of a soak."""

from __future__ import annotations

import pytest

from tests.soak.plan import DATABASE, HTTP_SERVICES, Outage, new_plan
from tests.support.chaos import Fault


def test_the_same_seed_gives_the_same_faults() -> None:
    assert new_plan(7, 60) == new_plan(7, 60)
    assert new_plan(7, 60) != new_plan(8, 60)


@pytest.mark.parametrize("seed", range(20))
def test_every_fault_and_every_service_is_in_a_soak_of_ten_minutes(seed: int) -> None:
    breaks = [one for window in new_plan(seed, 600) for one in window.breaks]
    assert {one.kind for one in breaks} == {*Fault, *Outage}
    assert {one.service for one in breaks} == {*HTTP_SERVICES, DATABASE}
