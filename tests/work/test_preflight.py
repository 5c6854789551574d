"""A group has one set of approvers, whichever table of the settings somebody asks by; and keys that can work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bot.sandbox import oms_world as ow
from bot.sandbox.oms_server import Answer
from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.town import Town
from bot.work.preflight import CannotAsk, check_keys, find_group, plan_for
from bot.work.tools import Tools
from tests.support.inside import tools_of


@contextmanager
def with_second_table(town: Town, *changes: tuple[str, str]) -> Iterator[Tools]:
    """The settings of the town, and those of media once more as `easy`, but for these changes."""
    toml = town.directory / "bot.toml"
    text = toml.read_text(encoding="utf-8")
    table = text[text.index("[projects.media]") :].replace("projects.media", "projects.easy")
    for was, by_now in changes:
        assert was in table
        table = table.replace(was, by_now)
    toml.write_text(f"{text}\n{table}", encoding="utf-8")
    with tools_of(town) as tools:
        yield tools


LEFT_OUT = (f'project_id = "{ow.PROJECT_ID}"\n', "")


@pytest.mark.parametrize("by", [["easy"], ["media"], ["media", "easy"]])
def test_a_project_that_is_in_the_settings_twice_is_asked_for_by_neither(
    new_town: Callable[..., Town], by: list[str]
) -> None:
    town = new_town()
    with with_second_table(town, LEFT_OUT) as tools:
        with pytest.raises(CannotAsk, match="a second time, under another name") as refusal:
            find_group(tools, by, NIGHTLY_IMAGES)
        unseen = {"media", "easy"} - set(by)
        assert not any(name in str(refusal.value) for name in unseen), "who may not see a project does not hear of it"


def test_where_it_cannot_be_told_whether_two_tables_are_one_project_nobody_is_asked(
    new_town: Callable[..., Town],
) -> None:
    town = new_town()
    with with_second_table(town, LEFT_OUT) as tools:
        town.oms.fault("projects", *[Answer(503, "IAM.0006")] * 10)
        with pytest.raises(CannotAsk, match="cannot be told just now"):
            find_group(tools, ["media"], NIGHTLY_IMAGES)


def test_another_project_of_the_same_region_is_no_second_table(new_town: Callable[..., Town]) -> None:
    town = new_town()
    with with_second_table(town, (ow.PROJECT_ID, "f" * 32)) as tools:
        assert find_group(tools, ["media"], NIGHTLY_IMAGES).project == "media"


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_temporary_access_key_is_refused_before_anybody_is_asked(new_town: Callable[..., Town], side: str) -> None:
    town = new_town()
    with tools_of(town) as tools:
        found = find_group(tools, ["media"], NIGHTLY_IMAGES)
        plan = plan_for(tools, found)
        town.vault.write(f"oms/media/{side}", {"ak": "A", "sk": "S", "security_token": "T"})
        with pytest.raises(CannotAsk, match=f"`secret/oms/media/{side}` in Vault holds a temporary access key"):
            check_keys(tools, plan, found.group)
