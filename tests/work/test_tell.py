"""What `list` and `status` tell whoever typed: how every request and group stands, in whichever project."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from bot.sandbox import oms_world as ow
from bot.sandbox.oms_server import Answer, Late
from bot.sandbox.oms_world import NIGHTLY_IMAGES, PAUSED, Group
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.slack.answers import NO_SUCH_REQUEST
from bot.slack.standing import stands
from bot.store import outbox, tables
from bot.store.inbox import Kind, Message
from bot.work import ask, preflight, tell
from bot.work.askable import askable
from bot.work.preflight import CannotAsk
from bot.work.tools import Tools
from tests.support.inside import asked, taken, town_and_tools

NUMBERS = itertools.count(1)
NOWHERE = "1a2b3c4d-0000-4000-8000-00000000ffff"
NASTY = "<!channel> <@U0ADMIN00> <https://evil.example|x> & *b*"
SHOWN = "&lt;!channel&gt; &lt;@U0ADMIN00&gt; &lt;https://evil.example|x&gt; &amp; \u2217b\u2217"
NASTY_GROUP = "4d4d4d4d-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Town, Tools]]:
    with town_and_tools(projects=2) as made:
        yield made


def newest_notice(tools: Tools) -> str:
    with tools.store.read() as connection:
        number = max(row.id for row in connection.execute(tables.notices.select()))
        return outbox.get_notice(connection, number)[0].text


def told(tools: Tools, kind: Kind, text: str, person: str = w.BOB) -> str:
    """What somebody is told who typed this."""
    message = Message(kind, f"typed {next(NUMBERS)}", person, w.TEAM_ID, w.MIGRATIONS, text)
    taken(tools, message)
    if kind is Kind.ASK:
        ask.ask(tools, message)
    else:
        tell.answer_question(tools, message)
    return newest_notice(tools)


def status(tools: Tools, what: str, person: str = w.BOB) -> str:
    return told(tools, Kind.STATUS, f"status {what}", person)


def test_status_of_a_group_says_how_it_stands_now_and_then_what_was_asked(place: tuple[Town, Tools]) -> None:
    town, tools = place
    made, _ = asked(town, tools, next(NUMBERS))
    town.world.groups[made.group.group_id].status = ow.MONITORING
    now, of_request = status(tools, made.group.group_id).splitlines()
    assert now.startswith(f"`{made.group.group_id}` ")
    assert "in project media is running now, " in now
    assert of_request.startswith(stands(made))


def test_status_of_a_group_that_nobody_asked_for_says_so(place: tuple[Town, Tools]) -> None:
    _, tools = place
    assert "`" + ow.LEDGERS + "` ledgers 1998 to 2010 in project archive is paused now, " in status(tools, ow.LEDGERS)
    assert status(tools, ow.LEDGERS).endswith("\nNobody has asked for it.")


def test_status_of_a_group_that_is_nowhere_names_the_projects_and_keeps_what_was_asked(
    place: tuple[Town, Tools],
) -> None:
    town, tools = place
    nowhere = status(tools, NOWHERE)
    assert nowhere.startswith(f"No task group `{NOWHERE}` in: media (")
    assert "Nobody" not in nowhere
    made, _ = asked(town, tools, next(NUMBERS))
    del town.world.groups[made.group.group_id]
    assert [line.split()[0] for line in status(tools, made.group.group_id).splitlines()] == ["No", f"{made.id}:"]


def test_status_of_a_group_says_which_project_could_not_be_asked(place: tuple[Town, Tools]) -> None:
    town, tools = place
    town.clouds["archive"].fault("show", Answer(403, "OMS.0072"))
    now, failure, nobody = status(tools, ow.NIGHTLY_IMAGES).splitlines()
    assert "in project media is paused now" in now
    assert failure.startswith(f"Group `{ow.NIGHTLY_IMAGES}`: project archive: OMS.0072")
    assert nobody == "Nobody has asked for it."


def test_who_may_see_no_project_learns_nothing_of_a_group(place: tuple[Town, Tools]) -> None:
    _, tools = place
    assert status(tools, ow.NIGHTLY_IMAGES, w.ERIN) == NO_SUCH_REQUEST


def test_a_list_names_the_project_that_is_late_and_waits_no_longer(
    place: tuple[Town, Tools], monkeypatch: pytest.MonkeyPatch
) -> None:
    town, tools = place
    assert "ledgers" in told(tools, Kind.LIST, "list")
    town.clouds["archive"].fault("list", Late())
    monkeypatch.setattr(tell, "askable", partial(askable, answer_seconds=6))
    text = told(tools, Kind.LIST, "list")
    assert "nightly images" in text
    assert text.endswith(
        "*Groups of archive that can be asked for*\nThey cannot be listed just now. Project archive did not answer "
        "within 6 s. Next: Try again in a minute."
    )


def test_whoever_asks_for_several_groups_is_told_of_each_which_it_is(place: tuple[Town, Tools]) -> None:
    town, tools = place
    done = "2a2b2c2d-0000-4000-8000-000000000001"
    town.world.groups[done] = replace(town.world.groups[ow.NIGHTLY_IMAGES], id=done, status=ow.COMPLETED)
    ids = (ow.NIGHTLY_IMAGES, ow.LEDGERS, done, NOWHERE)
    lines = told(tools, Kind.ASK, f"{' '.join(ids)} go", w.ALICE).splitlines()
    for group_id, name, line in zip(ids, ("nightly images", "ledgers 1998 to 2010", "", ""), lines, strict=True):
        assert f"`{group_id}`" in line
        assert name in line
    again = told(tools, Kind.ASK, f"{ow.NIGHTLY_IMAGES} {ow.LEDGERS} go", w.ALICE).splitlines()
    for group_id, line in zip(ids, again, strict=False):
        assert line.startswith("You have asked for this group already")
        assert f"`{group_id}`" in line


def test_a_refusal_that_names_no_group_is_put_under_its_id(place: tuple[Town, Tools]) -> None:
    town, tools = place
    paused = town.world.groups[ow.NIGHTLY_IMAGES]
    ids = [f"2a2b2c2d-0000-4000-8000-{number:012d}" for number in (2, 3)]
    town.world.groups.update({one: replace(paused, id=one) for one in ids})
    town.vault.write("oms/media/destination", {"ak": ow.DESTINATION_AK})
    lines = told(tools, Kind.ASK, f"{' '.join(ids)} go", w.ALICE).splitlines()
    alone = told(tools, Kind.ASK, f"{ids[0]} go", w.ALICE)
    town.vault.write("oms/media/destination", {"ak": ow.DESTINATION_AK, "sk": ow.DESTINATION_SK})
    assert "/destination` in Vault has no key sk." in alone
    assert lines == [f"Group `{one}`: {alone}" for one in ids]


def test_nobodys_name_of_a_group_is_obeyed(place: tuple[Town, Tools]) -> None:
    town, tools = place
    town.world.groups[NASTY_GROUP] = Group(NASTY_GROUP, NASTY, PAUSED, bucket=NASTY, source_region=NASTY)
    for text in (told(tools, Kind.LIST, "list"), status(tools, NASTY_GROUP)):
        assert SHOWN in text
        assert NASTY not in text
    found = preflight.find_group(tools, ["media"], NASTY_GROUP)
    media = tools.projects["media"]
    vault = media.vault.model_copy(update={"source": {"another": "path"}})
    without_path = replace(tools, projects={"media": media.model_copy(update={"vault": vault})})
    with pytest.raises(CannotAsk) as refusal:
        preflight.plan_for(without_path, found)
    assert SHOWN in str(refusal.value)
    assert NASTY not in str(refusal.value)


def test_nobodys_words_for_a_failure_are_obeyed(place: tuple[Town, Tools]) -> None:
    town, tools = place
    town.oms.fault("show", Answer(500, "OMS.1001", NASTY, detail=NASTY))
    with pytest.raises(CannotAsk) as refusal:
        preflight.find_group(tools, ["media"], NIGHTLY_IMAGES)
    assert SHOWN in str(refusal.value)
    assert NASTY not in str(refusal.value)
    town.oms.fault("list", Answer(500, "OMS.1001", NASTY, detail=NASTY))
    assert NASTY not in told(tools, Kind.LIST, "list")
