"""One set of approvers for a group, whichever table it is asked by; when it may be started; keys that can work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot.jobs.ask.preflight import CannotCreate, check_keys, find_group, plan_for, start_at
from bot.jobs.context import Context
from bot.sandbox import oms_state as ow
from bot.sandbox.oms_server import Answer
from bot.sandbox.oms_state import NIGHTLY_IMAGES
from bot.sandbox.slack import workspace as w
from bot.sandbox.system import Sandbox
from tests.support.in_process import at, context_of


@contextmanager
def with_second_table(sandbox: Sandbox, *changes: tuple[str, str]) -> Iterator[Context]:
    """The settings of the town, and those of media once more as `easy`, but for these changes."""
    toml = sandbox.directory / "bot.toml"
    text = toml.read_text(encoding="utf-8")
    table = text[text.index("[projects.media]") :].replace("projects.media", "projects.easy")
    for was, by_now in changes:
        assert was in table
        table = table.replace(was, by_now)
    toml.write_text(f"{text}\n{table}", encoding="utf-8")
    with context_of(sandbox) as context:
        yield context


LEFT_OUT = (f'project_id = "{ow.PROJECT_ID}"\n', "")


@pytest.mark.parametrize("by", [["easy"], ["media"], ["media", "easy"]])
def test_a_project_that_is_in_the_settings_twice_is_asked_for_by_neither(
    new_sandbox: Callable[..., Sandbox], by: list[str]
) -> None:
    sandbox = new_sandbox()
    with with_second_table(sandbox, LEFT_OUT) as context:
        with pytest.raises(CannotCreate, match="a second time, under another name") as refusal:
            find_group(context, by, NIGHTLY_IMAGES)
        unseen = {"media", "easy"} - set(by)
        assert not any(name in str(refusal.value) for name in unseen), "who may not see a project does not hear of it"


def test_where_it_cannot_be_told_whether_two_tables_are_one_project_nobody_is_asked(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox()
    with with_second_table(sandbox, LEFT_OUT) as context:
        sandbox.oms.fault("projects", *[Answer(503, "IAM.0006")] * 10)
        with pytest.raises(CannotCreate, match="cannot be told just now"):
            find_group(context, ["media"], NIGHTLY_IMAGES)


def test_another_project_of_the_same_region_is_no_second_table(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    with with_second_table(sandbox, (ow.PROJECT_ID, "f" * 32)) as context:
        assert find_group(context, ["media"], NIGHTLY_IMAGES).project == "media"


MORNING = datetime(2026, 3, 2, 0, 44, 30, tzinfo=UTC)  # 08:44 for alice
LATEST_TODAY = "comes after the request expires. The latest is 16:44 today. Nothing was asked."


@pytest.fixture
def context(new_sandbox: Callable[..., Sandbox]) -> Iterator[Context]:
    with context_of(new_sandbox()) as made:
        yield made


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((23, 50), f"23:50 (Asia/Singapore) {LATEST_TODAY}"),
        ((16, 45), f"16:45 (Asia/Singapore) {LATEST_TODAY}"),
        ((8, 40), f"08:40 (Asia/Singapore) has passed today, and tomorrow it {LATEST_TODAY}"),
    ],
)
def test_a_time_that_is_too_late_is_told_with_the_latest(context: Context, typed: tuple[int, int], said: str) -> None:
    with pytest.raises(CannotCreate) as refusal:
        start_at(at(context, MORNING), w.ALICE, typed, MORNING + timedelta(hours=8))
    assert str(refusal.value) == said


def test_the_latest_time_may_be_tomorrow_and_is_taken_itself(context: Context) -> None:
    evening = MORNING + timedelta(hours=12)
    context, expires_at = at(context, evening), evening + timedelta(hours=8)
    with pytest.raises(CannotCreate, match="The latest is 04:44 tomorrow"):
        start_at(context, w.ALICE, (4, 45), expires_at)
    assert start_at(context, w.ALICE, (4, 44), expires_at) == expires_at - timedelta(seconds=30)


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_temporary_access_key_is_refused_before_anybody_is_asked(
    new_sandbox: Callable[..., Sandbox], side: str
) -> None:
    sandbox = new_sandbox()
    with context_of(sandbox) as context:
        found = find_group(context, ["media"], NIGHTLY_IMAGES)
        plan = plan_for(context, found)
        sandbox.vault.write(f"oms/media/{side}", {"ak": "A", "sk": "S", "security_token": "T"})
        with pytest.raises(CannotCreate, match=f"`secret/oms/media/{side}` in Vault holds a temporary access key"):
            check_keys(context, plan, found.group)
