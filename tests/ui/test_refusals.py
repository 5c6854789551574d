"""Every refusal has a text."""

from __future__ import annotations

import pytest

from bot.domain.policy import Refusal
from bot.domain.request import State
from bot.ui.refusals import refusal_text
from tests.support.values import request


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_has_a_text(refusal: Refusal) -> None:
    assert refusal_text(refusal, request(State.DONE)).endswith((".", ">"))
