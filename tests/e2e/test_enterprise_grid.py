"""People of several workspaces of one Enterprise organization, in a workspace that is one of them."""

from __future__ import annotations

from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, CAROL, DAVE, TEAM_ID
from bot.sandbox.system import Sandbox
from tests.support.sandbox import create_request, deny, wait_for_accepted, wait_for_reply, wait_for_text

OTHER_WORKSPACE = "T0OTHERWS1"


def join(sandbox: Sandbox, person: str, *teams: str) -> None:
    """Puts a person into these workspaces of the organization, of which users.info names another one first."""
    organization = {"id": person, "enterprise_id": "E0COMPANY1", "enterprise_name": "Company", "teams": list(teams)}
    sandbox.workspace.users[person] |= {"team_id": OTHER_WORKSPACE, "enterprise_user": organization}


def test_members_from_another_workspace_of_the_organization_request_and_approve(sandbox: Sandbox) -> None:
    for person in (ALICE, CAROL):
        join(sandbox, person, OTHER_WORKSPACE, TEAM_ID)
    card = create_request(sandbox)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)


def test_a_member_from_another_workspace_denies_with_the_form(sandbox: Sandbox) -> None:
    join(sandbox, DAVE, OTHER_WORKSPACE, TEAM_ID)
    card = create_request(sandbox)
    deny(sandbox, DAVE, card, "not tonight")
    wait_for_text(sandbox, card, "not tonight")


def test_people_of_the_organization_who_are_not_members_of_the_workspace_are_refused(sandbox: Sandbox) -> None:
    sandbox.workspace.groups[APPROVERS_GROUP] += [BOB]
    card = create_request(sandbox)
    for person in (BOB, DAVE):
        join(sandbox, person, OTHER_WORKSPACE)
        sandbox.people.press(person, card, "approve")
        wait_for_reply(sandbox, person, "other organizations")
    assert "approve" in str(card.blocks)
