"""`list` and `status` show the requests and groups of all projects that the person may see."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import cast

import pytest

from bot.domain.command import ResumeGroups, ShowList, ShowStatus, parse
from bot.domain.policy import AccountKind, Person
from bot.jobs.ask import preflight, queries
from bot.jobs.ask.app_home import show_home
from bot.jobs.ask.create_request import create_requests
from bot.jobs.ask.preflight import CannotCreate
from bot.jobs.ask.project_groups import project_groups
from bot.jobs.context import Context
from bot.sandbox.huawei.credentials import DESTINATION_AK, DESTINATION_SK
from bot.sandbox.huawei.example_groups import LEDGERS, NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer, NoAnswer
from bot.sandbox.huawei.group import COMPLETED, MIGRATION_FAILED, MONITORING, PAUSED, Group
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, ERIN, MIGRATIONS, TEAM_ID
from bot.sandbox.system import Sandbox
from bot.slack.errors import Denied, GroupsUnknown, LookupFailed
from bot.slack.users import Users
from bot.store import outbox, tables
from bot.store.inbox import Kind, Message
from bot.ui.blocks import TEXT_CHARACTERS
from bot.ui.refusals import GROUPS_UNKNOWN, NO_SUCH_REQUEST
from bot.ui.replies import NO_REQUEST_FOR_GROUP
from bot.ui.status import status_text
from tests.support.in_process import create_request, sandbox_and_context, store_message

NUMBERS = itertools.count(1)
NOWHERE = "1a2b3c4d-0000-4000-8000-00000000ffff"
NASTY = "<!channel> <@U0ADMIN00> <https://evil.example|x> & *b*"
SHOWN = "&lt;!channel&gt; &lt;@U0ADMIN00&gt; &lt;https://evil.example|x&gt; &amp; \u2217b\u2217"
NASTY_GROUP = "4d4d4d4d-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Sandbox, Context]]:
    with sandbox_and_context(projects=2) as made:
        yield made


def newest_notice(context: Context) -> str:
    with context.store.read() as connection:
        number = max(row.id for row in connection.execute(tables.notices.select()))
        return outbox.get_notice(connection, number)[0].text


def answer(context: Context, text: str, person: str = BOB) -> str:
    """The answer to a typed command."""
    command = parse(text)
    key = f"typed {next(NUMBERS)}"
    match command:
        case ResumeGroups():
            message = Message(Kind.CREATE_REQUEST, key, person, TEAM_ID, MIGRATIONS, command)
            store_message(context, message)
            create_requests(context, message, command, context.now())
        case ShowStatus():
            message = Message(Kind.STATUS, key, person, TEAM_ID, MIGRATIONS, command)
            store_message(context, message)
            queries.show_status(context, message, command)
        case ShowList():
            message = Message(Kind.LIST, key, person, TEAM_ID, MIGRATIONS, command)
            store_message(context, message)
            queries.show_list(context, message, command)
        case _:
            raise ValueError(text)
    return newest_notice(context)


def status(context: Context, searched_id: str, person: str = BOB) -> str:
    return answer(context, f"status {searched_id}", person)


def test_status_of_a_group_shows_its_status_and_then_its_requests(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    made, _ = create_request(sandbox, context, next(NUMBERS))
    sandbox.oms.state.groups[made.group.group_id].status = MONITORING
    now, *progress, heading, of_request = status(context, made.group.group_id).splitlines()
    assert f"(group `{made.group.group_id}`) in project media is running. " in now
    assert len(progress) >= 2
    assert heading == "*1 request for this group*"
    assert of_request.startswith(status_text(made))


def test_status_of_a_group_without_a_request_says_so(place: tuple[Sandbox, Context]) -> None:
    _, context = place
    assert f'"ledgers 1998 to 2010" (group `{LEDGERS}`) in project archive is paused.\n' in status(context, LEDGERS)
    assert status(context, LEDGERS).endswith(f"\n{NO_REQUEST_FOR_GROUP}")


def test_status_of_a_group_that_is_not_found_names_the_projects_and_shows_its_requests(
    place: tuple[Sandbox, Context],
) -> None:
    sandbox, context = place
    text = status(context, NOWHERE)
    assert text.startswith(f"No group `{NOWHERE}` in media (")
    assert "Nobody" not in text
    made, _ = create_request(sandbox, context, next(NUMBERS))
    del sandbox.oms.state.groups[made.group.group_id]
    assert [line.split()[0] for line in status(context, made.group.group_id).splitlines()] == [
        "No",
        "*1",
        made.id,
    ]


def test_status_names_a_project_that_fails_only_if_no_other_project_has_the_group(
    place: tuple[Sandbox, Context],
) -> None:
    sandbox, context = place
    sandbox.oms_by_project["archive"].faults.add("show", *[Answer(403, "OMS.0072")] * 2)
    now, *_, no_request = status(context, NIGHTLY_IMAGES).splitlines()
    assert now.endswith("in project media is paused.")
    assert no_request == NO_REQUEST_FOR_GROUP
    [failure] = status(context, LEDGERS).splitlines()
    assert failure.startswith(
        f"The bot couldn't read group `{LEDGERS}`. Project archive couldn't be searched (OMS.0072)."
    )
    assert "Huawei request id" in failure


def test_a_503_of_one_look_is_tried_again(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    sandbox.oms_by_project["archive"].faults.add("show", Answer(503, "APIG.0601"))
    assert "in project archive is paused." in status(context, LEDGERS)
    sandbox.oms_by_project["archive"].faults.add("list", Answer(503, "APIG.0601"))
    assert "ledgers 1998 to 2010" in answer(context, "list")


def test_a_list_shows_code_and_huawei_request_id_of_a_project_that_fails(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    sandbox.oms_by_project["archive"].faults.add("list", *[Answer(503, "APIG.0601", "out of order")] * 14)
    text = answer(context, "list")
    sandbox.oms_by_project["archive"].faults.clear()
    assert "nightly images" in text
    heading, failure = text.splitlines()[-2:]
    assert heading == "*Groups in archive: the bot couldn't list them*"
    assert failure.startswith("APIG.0601: ")
    assert "out of order" in failure
    assert "Huawei request id `" in failure


def test_a_list_has_totals_and_fits_into_a_message(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    example = sandbox.oms.state.groups[NIGHTLY_IMAGES]
    added = {
        f"5a5b5c5d-0000-4000-8000-{number:012d}": MIGRATION_FAILED if number < 3 else PAUSED for number in range(130)
    }
    groups = sandbox.oms.state.groups
    before = dict(groups)
    groups.clear()
    groups.update({one: replace(example, id=one, status=status) for one, status in reversed(added.items())})
    text = answer(context, "list")
    groups.clear()
    groups.update(before)
    assert len(text) <= TEXT_CHARACTERS
    assert ": 3 failed, more than 99 paused, the first " in text
    assert ": 1 failed, 1 paused*" in text
    assert "ledgers 1998 to 2010" in text, "a large project leaves room for others"
    of_media = text[text.index("*Groups in media") :].splitlines()[1:]
    assert [", failed" in line for line in of_media[:4]] == [True, True, True, False]


def test_a_person_who_may_see_no_project_learns_nothing_of_a_group(place: tuple[Sandbox, Context]) -> None:
    _, context = place
    hidden = context.projects["media"].model_copy(update={"requesters": (ALICE,)})
    narrow = replace(context, projects={"media": hidden})
    assert status(narrow, NIGHTLY_IMAGES, BOB) == NO_SUCH_REQUEST


def test_a_guest_gets_the_same_reply_to_every_command(place: tuple[Sandbox, Context]) -> None:
    _, context = place
    for typed in ("list", f"status {NIGHTLY_IMAGES}", "status R-00000001", f"{NIGHTLY_IMAGES} go"):
        assert answer(context, typed, ERIN) == "Guests can't use this app."


def test_a_list_names_a_project_that_is_late_without_waiting_for_it(
    place: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = place
    assert "ledgers" in answer(context, "list")
    sandbox.oms_by_project["archive"].faults.add("list", NoAnswer())
    monkeypatch.setattr(queries, "project_groups", partial(project_groups, answer_seconds=6))
    text = answer(context, "list")
    assert "nightly images" in text
    assert text.endswith("\nOMS didn't list the groups in archive within 6 s. Next: Try again in a minute.")


def test_the_answer_for_several_groups_names_each_group(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    done = "2a2b2c2d-0000-4000-8000-000000000001"
    sandbox.oms.state.groups[done] = replace(sandbox.oms.state.groups[NIGHTLY_IMAGES], id=done, status=COMPLETED)
    ids = (NIGHTLY_IMAGES, LEDGERS, done, NOWHERE)
    lines = answer(context, f"{' '.join(ids)} go", ALICE).splitlines()
    for group_id, name, line in zip(ids, ("nightly images", "ledgers 1998 to 2010", "", ""), lines, strict=True):
        assert f"`{group_id}`" in line
        assert name in line
    again = answer(context, f"{NIGHTLY_IMAGES} {LEDGERS} go", ALICE).splitlines()
    for group_id, line in zip(ids, again, strict=False):
        assert line.startswith("You've already requested this: R-")
        assert f"`{group_id}`" in line


def test_a_refusal_that_names_no_group_is_prefixed_with_its_id(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    paused = sandbox.oms.state.groups[NIGHTLY_IMAGES]
    ids = [f"2a2b2c2d-0000-4000-8000-{number:012d}" for number in (2, 3)]
    sandbox.oms.state.groups.update({one: replace(paused, id=one) for one in ids})
    sandbox.vault.write("oms/media/destination", {"ak": DESTINATION_AK})
    lines = answer(context, f"{' '.join(ids)} go", ALICE).splitlines()
    alone = answer(context, f"{ids[0]} go", ALICE)
    sandbox.vault.write("oms/media/destination", {"ak": DESTINATION_AK, "sk": DESTINATION_SK})
    assert "/destination` in Vault is missing sk." in alone
    assert lines == [f"Group `{one}`: {alone}" for one in ids]


def test_a_group_name_is_escaped(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    sandbox.oms.state.groups[NASTY_GROUP] = Group(NASTY_GROUP, NASTY, PAUSED, bucket=NASTY, source_region=NASTY)
    for text in (answer(context, "list"), status(context, NASTY_GROUP)):
        assert SHOWN in text
        assert NASTY not in text
    found = preflight.find_group(context, ["media"], NASTY_GROUP)
    media = context.projects["media"]
    vault = media.vault.model_copy(update={"source": {"another": "path"}})
    without_path = replace(context, projects={"media": media.model_copy(update={"vault": vault})})
    with pytest.raises(CannotCreate) as refusal:
        preflight.plan_for(without_path, found)
    assert SHOWN in str(refusal.value)
    assert NASTY not in str(refusal.value)


def test_an_error_message_is_escaped(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    sandbox.oms.faults.add("show", *[Answer(500, "OMS.1001", NASTY, detail=NASTY)] * 2)
    with pytest.raises(CannotCreate) as refusal:
        preflight.find_group(context, ["media"], NIGHTLY_IMAGES)
    assert SHOWN in str(refusal.value)
    assert NASTY not in str(refusal.value)
    sandbox.oms.faults.add("list", *[Answer(500, "OMS.1001", NASTY, detail=NASTY)] * 2)
    assert NASTY not in answer(context, "list")


def open_home(context: Context, person: str) -> None:
    """Shows App Home to a person who has opened it."""
    message = Message(Kind.HOME, f"typed {next(NUMBERS)}", person, TEAM_ID)
    store_message(context, message)
    show_home(context, message, context.now())


class PeopleWithoutGroups:
    """Looks people up while Slack does not return the members of user groups."""

    def denial_behind(self, error: LookupFailed) -> Denied | None:
        return None

    def look_up(self, user_id: str, names: Iterable[str]) -> Person:
        return Person(user_id, TEAM_ID, AccountKind.FULL, groups_known=False)


def test_a_person_whose_user_groups_are_unknown_is_told_so(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    media = context.projects["media"].model_copy(update={"requesters": (APPROVERS_GROUP,)})
    people = cast(Users, PeopleWithoutGroups())
    unknown = replace(context, projects={"media": media}, people=people)
    for typed in ("list", f"status {NIGHTLY_IMAGES}", "status R-00000001"):
        with pytest.raises(GroupsUnknown):
            answer(unknown, typed)
    assert answer(unknown, f"{NIGHTLY_IMAGES} project=media go") == GROUPS_UNKNOWN
    open_home(unknown, BOB)
    home = sandbox.people.home_view(BOB)
    assert home is not None
    assert "Slack couldn't tell which user groups you're in. Press Refresh in a minute." in str(home.view)


def test_app_home_says_that_it_may_be_incomplete_while_user_groups_are_unknown(place: tuple[Sandbox, Context]) -> None:
    sandbox, context = place
    unknown = replace(context, people=cast(Users, PeopleWithoutGroups()))
    open_home(unknown, BOB)
    home = sandbox.people.home_view(BOB)
    assert home is not None
    assert "so requests may be missing here." in str(home.view)
