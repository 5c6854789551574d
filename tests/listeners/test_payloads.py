"""A payload of any shape becomes a message or the names of its missing fields, and never raises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.listeners.payloads import (
    MalformedPayload,
    OurApp,
    form_choice,
    form_text,
    is_from,
    to_foreign_message,
    to_message,
)
from bot.listeners.views import parse_request_form
from bot.store.inbox import Kind, Message
from tests.support.values import GROUP_ID, NOON, PLAN

OUR_APP = OurApp("T0TEST0001", "A0TEST0001")
COMMAND: dict[str, Any] = {
    "command": "/resume-taskgroup",
    "team_id": "T0TEST0001",
    "user_id": "UALICE00",
    "channel_id": "C1",
    "trigger_id": "1.2",
    "response_url": "https://x",
    "text": "list",
}
PRESS: dict[str, Any] = {
    "type": "block_actions",
    "team": {"id": "T0TEST0001"},
    "user": {"id": "UALICE00", "team_id": "T0OTHER001"},
    "container": {"type": "message", "channel_id": "C1", "message_ts": "1.2"},
    "trigger_id": "1.2",
    "response_url": "https://x",
    "actions": [{"action_id": "approve", "block_id": "decide", "value": "R-00000001"}],
    "state": {"values": {"R-00000001 all": {"scope": {"selected_option": {"value": "all objects"}}}}},
}
GROUP_KEY = f"{PLAN.project_id}/{GROUP_ID}"
PRESS_ON_ALERT = {key: value for key, value in PRESS.items() if key != "state"} | {
    "actions": [{"action_id": "mute", "block_id": GROUP_ID, "value": GROUP_KEY}]
}
DENIAL: dict[str, Any] = {
    "type": "view_submission",
    "team": {"id": "T0TEST0001"},
    "user": {"id": "UALICE00"},
    "trigger_id": "1.2",
    "view": {
        "id": "V1",
        "callback_id": "deny_form",
        "private_metadata": "R-00000001 C1 1.2",
        "state": {"values": {"reason": {"text": {"value": " not today\n"}}}},
    },
}
OPENED_HOME: dict[str, Any] = {
    "type": "event_callback",
    "team_id": "T0TEST0001",
    "event_id": "Ev1",
    "event": {"type": "app_home_opened", "user": "UALICE00", "tab": "home"},
}
PERSON = ("UALICE00", "T0TEST0001")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (COMMAND, Message(Kind.LIST, "1.2", *PERSON, "C1", response_url="https://x", trigger_id="1.2")),
        (
            PRESS,
            Message(
                Kind.APPROVE,
                "1.2",
                *PERSON,
                "C1",
                request_id="R-00000001",
                message_ts="1.2",
                response_url="https://x",
                scope="all objects",
                trigger_id="1.2",
            ),
        ),
        (
            PRESS_ON_ALERT,
            Message(
                Kind.MUTE_FOR_A_DAY,
                "1.2",
                *PERSON,
                "C1",
                group_key=GROUP_KEY,
                message_ts="1.2",
                response_url="https://x",
                trigger_id="1.2",
            ),
        ),
        (
            DENIAL,
            Message(
                Kind.DENY,
                "V1",
                *PERSON,
                "C1",
                request_id="R-00000001",
                message_ts="1.2",
                reason="not today",
                trigger_id="1.2",
            ),
        ),
        (OPENED_HOME, Message(Kind.HOME, "Ev1", *PERSON)),
    ],
)
def test_every_kind_of_payload_becomes_a_message(body: dict[str, Any], message: Message) -> None:
    assert to_message(body, message.kind) == message


@pytest.mark.parametrize(
    ("body", "kind", "missing"),
    [
        ({}, Kind.LIST, ("trigger_id", "user", "team")),
        (COMMAND | {"trigger_id": None}, Kind.LIST, ("trigger_id",)),
        (PRESS | {"user": "<!channel>"}, Kind.APPROVE, ("user",)),
        (PRESS | {"team": None}, Kind.APPROVE, ("team",)),
        (DENIAL | {"view": "V1"}, Kind.DENY, ("view.id", "view.private_metadata")),
        (OPENED_HOME | {"event_id": 7}, Kind.HOME, ("event_id",)),
        (OPENED_HOME | {"event": []}, Kind.HOME, ("user",)),
    ],
)
def test_a_malformed_payload_says_what_is_missing(body: dict[str, Any], kind: Kind, missing: tuple[str, ...]) -> None:
    assert to_message(body, kind) == MalformedPayload(missing)


@pytest.mark.parametrize(
    "metadata", ["", "R-00000001", "R-00000001 C1 1.2 more", "nonsense C1 1.2", "R-00000001 C1", None, 7]
)
def test_a_deny_form_that_names_no_request_is_malformed(metadata: object) -> None:
    view = {"id": "V1", "private_metadata": metadata}
    assert to_message(DENIAL | {"view": view}, Kind.DENY) == MalformedPayload(("view.private_metadata",))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """One of the payloads with some of its parts, at any depth, replaced by anything."""
    body: dict[str, Any] = draw(st.sampled_from([COMMAND, PRESS, DENIAL, OPENED_HOME]))

    def changed(value: Any) -> Any:
        if draw(st.integers(0, 9)) == 0:
            return draw(JSON)
        if isinstance(value, dict):
            return {key: changed(part) for key, part in value.items()}
        return [changed(part) for part in value] if isinstance(value, list) else value

    return {key: changed(part) for key, part in body.items()}


OURS, OTHER = OUR_APP.team_id, "T0OTHER001"


def event(team_id: str, **more: object) -> dict[str, Any]:
    return OPENED_HOME | {"team_id": team_id, **more}


def authorized(*teams: str) -> dict[str, Any]:
    return {"authorizations": [{"enterprise_id": None, "team_id": team, "is_bot": True} for team in teams]}


@pytest.mark.parametrize(
    ("body", "is_accepted"),
    [
        (COMMAND, True),
        (COMMAND | {"team_id": OTHER}, False),
        # Enterprise Grid: the organization is named beside the workspace, and does not stand for it.
        (COMMAND | {"enterprise_id": "E0COMPANY1", "is_enterprise_install": "false"}, True),
        (COMMAND | {"team_id": OTHER, "enterprise_id": OURS}, False),
        # A button in a shared channel: `team` is the workspace of the app, the person is from another one.
        (PRESS, True),
        (PRESS | {"team": {"id": OTHER}, "user": {"id": "UALICE00", "team_id": OURS}}, False),
        # An installation in the whole organization has no workspace.
        (PRESS | {"team": None, "enterprise": {"id": "E0COMPANY1"}, "is_enterprise_install": True}, False),
        # A form in a shared channel: `team` is the workspace of the person.
        (DENIAL, True),
        (DENIAL | {"team": {"id": OTHER}}, False),
        (DENIAL | {"team": {"id": OTHER}, "view": DENIAL["view"] | {"app_installed_team_id": OURS}}, True),
        (DENIAL | {"team": {"id": OTHER}, "view": DENIAL["view"] | {"app_installed_team_id": OTHER}}, False),
        (DENIAL | {"team": {"id": OTHER}, "view": DENIAL["view"] | {"team_id": OURS}}, False),
        # An event in a shared channel: `team_id` is where it happened.
        (event(OURS), True),
        (event(OTHER), False),
        (event(OTHER, context_team_id=OURS), True),
        (event(OTHER, **authorized(OURS)), True),
        (event(OTHER, **authorized(OTHER), context_team_id=OTHER), False),
        (event(OTHER, event=OPENED_HOME["event"] | {"team": OURS}), False),
    ],
)
def test_payloads_are_accepted_through_the_installation_in_our_workspace(
    body: dict[str, Any], is_accepted: bool
) -> None:
    ours = body | {"api_app_id": OUR_APP.app_id}
    assert is_from(OUR_APP, ours) is is_accepted
    assert not is_from(OUR_APP, ours | {"api_app_id": "A0OTHER001"})
    assert not is_from(OUR_APP, body)
    # Slack does not say which app this is.
    assert is_from(OurApp(OURS, ""), ours | {"api_app_id": "A0OTHER001"}) is is_accepted


@given(bodies(), st.sampled_from(list(Kind)))
def test_no_payload_raises_whatever_its_shape(body: dict[str, Any], kind: Kind) -> None:
    is_from(OUR_APP, body)
    form_text(body, "reason")
    form_choice(body, "pick")
    parse_request_form(body)
    assert to_foreign_message(body, NOON).kind is Kind.FOREIGN_PAYLOAD
    message = to_message(body, kind)
    if isinstance(message, Message):
        assert all((message.key, message.person, message.team_id))
        texts = [value for value in vars(message).values() if isinstance(value, str)]
        assert all(text.isprintable() for text in texts), "no database stores the rest"
    else:
        assert message.missing


@pytest.mark.parametrize("odd", [None, 7, [], "x" * 9_000, "T0 or *", {"id": {"id": "T"}}, {}, "\ud800"])
def test_a_sender_that_is_not_an_id_is_recorded_as_unknown(odd: object) -> None:
    body = {"team": odd, "api_app_id": odd, "user": odd}
    assert not is_from(OUR_APP, body)
    message = to_foreign_message(body, NOON)
    assert (message.person, message.team_id, message.app_id) == ("unknown", "unknown", "unknown")
