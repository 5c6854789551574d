"""Who can still approve a request."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.approvals import missing_approvers, possible_approvers
from bot.domain.request import Policy
from tests.support.values import request


def test_missing_approvers_leave_out_a_requester_whose_approval_does_not_count() -> None:
    policy = Policy(("*",), (("UALICE00", "UCAROL00"),), False)
    assert missing_approvers(request(policy=policy)) == (("UCAROL00",),)
    assert possible_approvers(request(policy=policy)) == ("UCAROL00",)
    allowed_policy = replace(policy, self_approval=True)
    assert missing_approvers(request(policy=allowed_policy)) == policy.slots
    assert possible_approvers(request(policy=allowed_policy)) == ("UALICE00", "UCAROL00")
    without_reason = request(policy=allowed_policy, reason=" ")
    assert missing_approvers(without_reason) == (("UCAROL00",),)
    assert possible_approvers(without_reason) == ("UCAROL00",)
