"""One set of approvers for a group, whichever table it is asked by; when it may be started; keys that can work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot.sandbox import oms_world as ow
from bot.sandbox.oms_server import Answer
from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.work.preflight import CannotAsk, check_keys, find_group, plan_for, start_at
from bot.work.tools import Tools
from tests.support.inside import at, tools_of


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


MORNING = datetime(2026, 3, 2, 0, 44, 30, tzinfo=UTC)  # 08:44 for alice
LATEST_TODAY = "comes after the request expires. The latest is 16:44 today. Nothing was asked."


@pytest.fixture
def tools(new_town: Callable[..., Town]) -> Iterator[Tools]:
    with tools_of(new_town()) as made:
        yield made


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((23, 50), f"23:50 (Asia/Singapore) {LATEST_TODAY}"),
        ((16, 45), f"16:45 (Asia/Singapore) {LATEST_TODAY}"),
        ((8, 40), f"08:40 (Asia/Singapore) has passed today, and tomorrow it {LATEST_TODAY}"),
    ],
)
def test_a_time_that_is_too_late_is_told_with_the_latest(tools: Tools, typed: tuple[int, int], said: str) -> None:
    with pytest.raises(CannotAsk) as refusal:
        start_at(at(tools, MORNING), w.ALICE, typed, MORNING + timedelta(hours=8))
    assert str(refusal.value) == said


def test_the_latest_time_may_be_tomorrow_and_is_taken_itself(tools: Tools) -> None:
    evening = MORNING + timedelta(hours=12)
    tools, expires_at = at(tools, evening), evening + timedelta(hours=8)
    with pytest.raises(CannotAsk, match="The latest is 04:44 tomorrow"):
        start_at(tools, w.ALICE, (4, 45), expires_at)
    assert start_at(tools, w.ALICE, (4, 44), expires_at) == expires_at - timedelta(seconds=30)


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_temporary_access_key_is_refused_before_anybody_is_asked(new_town: Callable[..., Town], side: str) -> None:
    town = new_town()
    with tools_of(town) as tools:
        found = find_group(tools, ["media"], NIGHTLY_IMAGES)
        plan = plan_for(tools, found)
        town.vault.write(f"oms/media/{side}", {"ak": "A", "sk": "S", "security_token": "T"})
        with pytest.raises(CannotAsk, match=f"`secret/oms/media/{side}` in Vault holds a temporary access key"):
            check_keys(tools, plan, found.group)
