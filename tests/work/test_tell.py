"""What one person is told of groups and of failures shows the words of others, and obeys none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from bot.sandbox.oms_server import Answer
from bot.sandbox.oms_world import NIGHTLY_IMAGES, PAUSED, Group
from bot.sandbox.town import Town
from bot.work import preflight, tell
from bot.work.preflight import CannotAsk
from bot.work.tools import Tools
from tests.support.inside import tools_of

NASTY = "<!channel> <@U0ADMIN00> <https://evil.example|x> & *b*"
SHOWN = "&lt;!channel&gt; &lt;@U0ADMIN00&gt; &lt;https://evil.example|x&gt; &amp; \u2217b\u2217"
NASTY_GROUP = "4d4d4d4d-0000-4000-8000-000000000001"


@pytest.fixture
def inside(new_town: Callable[..., Town]) -> Iterator[tuple[Town, Tools]]:
    town = new_town()
    with tools_of(town) as tools:
        yield town, tools


def test_nobodys_name_of_a_group_is_obeyed(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    town.world.groups[NASTY_GROUP] = Group(NASTY_GROUP, NASTY, PAUSED, bucket=NASTY, source_region=NASTY)
    for text in (tell._list(tools, ["media"]), tell._group(tools, ["media"], NASTY_GROUP)):
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


def test_nobodys_words_for_a_failure_are_obeyed(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    town.oms.fault("show", Answer(500, "OMS.1001", NASTY, detail=NASTY))
    with pytest.raises(CannotAsk) as refusal:
        preflight.find_group(tools, ["media"], NIGHTLY_IMAGES)
    assert SHOWN in str(refusal.value)
    assert NASTY not in str(refusal.value)
    town.oms.fault("list", Answer(500, "OMS.1001", NASTY, detail=NASTY))
    assert NASTY not in tell._list(tools, ["media"])
