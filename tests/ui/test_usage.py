"""The replies to an invalid command say what is wrong, what to type, and that no request was created."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.command import InvalidCommand, UsageError, parse, resume_groups
from bot.ui.usage import NO_REQUEST_CREATED, invalid_command, invalid_reason

COMMAND = "/resume-taskgroup"
GROUP = "00878453-3402-4a86-9e2a-5d5217cd35b2"
OTHER = "11878453-3402-4a86-9e2a-5d5217cd35b2"


def reply_to(text: str) -> str:
    invalid = parse(text)
    assert isinstance(invalid, InvalidCommand)
    return invalid_command(invalid, COMMAND)


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        (
            f"{GROUP} at 22:30",
            "Did you mean `at=22:30`? If it is part of the reason, begin the reason with other words.",
        ),
        (f"{GROUP} at=noon", "Type a time of day after `at=`, for example `at=22:30`."),
        (f"{GROUP} project=", "Type the name of a project after `project=`."),
        (f"{GROUP} at=22:30 at=23:30", "`at=` can be used only once."),
        (
            f"{GROUP} also {OTHER}",
            f"The task group id `{OTHER}` comes after the reason. Put all ids before the reason.",
        ),
        ("0087845334024a86", f"`0087845334024a86` isn't a task group id. An id looks like `{GROUP}`."),
        (
            "network is back",
            "Begin with the id of a task group: `/resume-taskgroup GROUP_ID reason`. "
            "Type `/resume-taskgroup help` for help.",
        ),
        (
            "https://example.com",
            "This link doesn't lead to one task group in the Huawei Cloud console. Type the id of the group.",
        ),
        ("x" * 2_001, "The command has 2,001 characters and can have at most 2,000. Shorten the reason."),
        (f"{GROUP} {'x' * 501}", "The reason has 501 characters and can have at most 500. Shorten it."),
    ],
)
def test_the_reply_says_what_to_type_and_that_no_request_was_created(text: str, reply: str) -> None:
    assert reply_to(text) == f"{reply} No request was created."


@pytest.mark.parametrize("error", UsageError)
def test_every_error_has_a_reply(error: UsageError) -> None:
    text = invalid_command(InvalidCommand(error, "typed"), COMMAND)
    assert text.endswith(NO_REQUEST_CREATED) is (error not in (UsageError.NO_STATUS_ID, UsageError.NAME_TOO_LONG))


@given(st.text(max_size=300))
def test_no_typed_text_makes_the_reply_mention_a_channel_or_a_person(text: str) -> None:
    invalid = parse(text)
    if isinstance(invalid, InvalidCommand):
        reply = invalid_command(invalid, COMMAND)
        assert "<!" not in reply
        assert "<@" not in reply


def test_an_error_in_the_form_is_about_the_form() -> None:
    invalid = resume_groups((GROUP,), f"also {OTHER}")
    assert isinstance(invalid, InvalidCommand)
    assert (
        invalid_reason(invalid)
        == "The reason can't contain the id of another task group. Make a request for each group."
    )
