"""Fixtures of the tests of faults."""

from __future__ import annotations

from datetime import timedelta

import pytest


@pytest.fixture
def long_lived_triggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes triggers valid for longer: on a slow machine, some time passes between the trigger and its delivery.

    That a modal opens within 3 s is tested elsewhere.
    """
    monkeypatch.setattr("bot.sandbox.slack.workspace.TRIGGER_LIFETIME", timedelta(seconds=20))
