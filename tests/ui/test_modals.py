"""The request form and the deny form."""

from __future__ import annotations

from bot.sandbox.slack.checks import problems_of_view
from bot.ui.modals import deny_form, request_form
from tests.support.values import GROUP, request


def test_the_request_form_asks_for_a_project_only_if_there_are_several() -> None:
    one, several = (request_form(names, (), "", GROUP, "media") for names in (["media"], ["archive", "media"]))
    assert [block.block_id for block in one.blocks] == [None, "group", "reason", "at"]
    assert [block.block_id for block in several.blocks] == [None, "group", "project", "reason", "at"]
    project = several.to_dict()["blocks"][2]["element"]
    assert [option["value"] for option in project["options"]] == ["archive", "media"]
    assert project["initial_option"]["value"] == "media", "Ask again keeps the project of the ended request"


def test_the_request_form_has_no_start_time_if_no_project_allows_one() -> None:
    form = request_form(["media"], (), "", GROUP, "media", can_schedule=False)
    assert [block.block_id for block in form.blocks] == [None, "group", "reason"]


def test_the_request_form_for_a_group_names_it_and_has_its_id() -> None:
    name, group, *_ = request_form(["media"], (), "", GROUP, "media").to_dict()["blocks"]
    assert name["text"]["text"] == '*"nightly images"* in project media'
    assert group["element"]["initial_value"] == GROUP.group_id


def test_the_request_form_stays_within_the_limits_of_slack() -> None:
    view = request_form([f"p{number}" for number in range(200)], (), "", GROUP, "p150")
    assert problems_of_view(view.to_dict()) == []


def test_the_deny_form_names_the_group_and_its_route() -> None:
    view = deny_form(request(), "C0TEST0001", "1.2").to_dict()
    text = view["blocks"][0]["text"]["text"]
    assert text == (
        '<@UALICE00> requests approval to resume "nightly images" (R-00000001).\n'
        "AWS *photos-prod* (us-east-1)  →  OBS *photos-archive* (ap-southeast-3)\n"
        "If you deny the request, nothing is started. The requester sees your reason."
    )
    assert view["private_metadata"] == "R-00000001 C0TEST0001 1.2"
    assert problems_of_view(view) == []
