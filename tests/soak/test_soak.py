"""Requests of all kinds end as without faults while Slack, Vault, OMS and PostgreSQL break one after another."""

from __future__ import annotations

import pytest

from tests.soak.run import Soak

SECONDS, SEED = 60, 29


@pytest.mark.long
@pytest.mark.timeout(900)
def test_requests_end_as_without_faults_while_services_break() -> None:
    report = Soak(SEED, SECONDS).run()
    print(report)
    assert not report.violations, str(report)
