"""A request is created only for a project with one table in bot.toml, a start before its expiry, and permanent keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot.jobs.ask.preflight import CannotCreate, check_keys, find_group, plan_for, start_at
from bot.jobs.context import Context
from bot.sandbox.huawei.credentials import PROJECT_ID
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.slack.ids import ALICE
from bot.sandbox.system import Sandbox
from tests.support.in_process import context_at, context_of


@contextmanager
def with_second_table(sandbox: Sandbox, *changes: tuple[str, str]) -> Iterator[Context]:
    """The sandbox with a second table `easy` in bot.toml: a copy of the table `media` with these replacements."""
    toml = sandbox.directory / "bot.toml"
    text = toml.read_text(encoding="utf-8")
    table = text[text.index("[projects.media]") :].replace("projects.media", "projects.easy")
    for old, new in changes:
        assert old in table
        table = table.replace(old, new)
    toml.write_text(f"{text}\n{table}", encoding="utf-8")
    with context_of(sandbox) as context:
        yield context


WITHOUT_PROJECT_ID = (f'project_id = "{PROJECT_ID}"\n', "")


@pytest.mark.parametrize("searched", [["easy"], ["media"], ["media", "easy"]])
def test_a_project_that_is_in_the_settings_twice_is_refused_under_both_names(
    new_sandbox: Callable[..., Sandbox], searched: list[str]
) -> None:
    sandbox = new_sandbox()
    with with_second_table(sandbox, WITHOUT_PROJECT_ID) as context:
        with pytest.raises(CannotCreate, match=r"is in bot\.toml twice, under two names") as refusal:
            find_group(context, searched, NIGHTLY_IMAGES)
        unseen = {"media", "easy"} - set(searched)
        assert not any(name in str(refusal.value) for name in unseen), "a project that the person may not see"


def test_a_project_is_refused_while_it_is_unknown_whether_it_is_in_the_settings_twice(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox()
    with with_second_table(sandbox, WITHOUT_PROJECT_ID) as context:
        sandbox.oms.faults.add("projects", *[Answer(503, "IAM.0006")] * 10)
        with pytest.raises(CannotCreate, match="The bot couldn't check whether project"):
            find_group(context, ["media"], NIGHTLY_IMAGES)


def test_two_tables_of_one_region_with_different_projects_are_accepted(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    with with_second_table(sandbox, (PROJECT_ID, "f" * 32)) as context:
        assert find_group(context, ["media"], NIGHTLY_IMAGES).project == "media"


MORNING = datetime(2026, 3, 2, 0, 44, 30, tzinfo=UTC)  # 08:44 for alice
LATEST_TODAY = "comes after the request expires. The latest is 16:44 today. Nothing was asked."


@pytest.fixture
def context(new_sandbox: Callable[..., Sandbox]) -> Iterator[Context]:
    with context_of(new_sandbox()) as made:
        yield made


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ((23, 50), f"23:50 (Asia/Singapore) {LATEST_TODAY}"),
        ((16, 45), f"16:45 (Asia/Singapore) {LATEST_TODAY}"),
        ((8, 40), f"08:40 (Asia/Singapore) has passed today, and tomorrow it {LATEST_TODAY}"),
    ],
)
def test_a_start_after_the_expiry_is_refused_with_the_latest_time(
    context: Context, typed: tuple[int, int], answer: str
) -> None:
    with pytest.raises(CannotCreate) as refusal:
        start_at(context_at(context, MORNING), ALICE, typed, MORNING + timedelta(hours=8))
    assert str(refusal.value) == answer


def test_the_latest_start_is_accepted_and_may_be_tomorrow(context: Context) -> None:
    evening = MORNING + timedelta(hours=12)
    context, expires_at = context_at(context, evening), evening + timedelta(hours=8)
    with pytest.raises(CannotCreate, match="The latest is 04:44 tomorrow"):
        start_at(context, ALICE, (4, 45), expires_at)
    assert start_at(context, ALICE, (4, 44), expires_at) == expires_at - timedelta(seconds=30)


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_temporary_access_key_is_refused_before_a_request_is_created(
    new_sandbox: Callable[..., Sandbox], side: str
) -> None:
    sandbox = new_sandbox()
    with context_of(sandbox) as context:
        found = find_group(context, ["media"], NIGHTLY_IMAGES)
        plan = plan_for(context, found)
        sandbox.vault.write(f"oms/media/{side}", {"ak": "A", "sk": "S", "security_token": "T"})
        with pytest.raises(CannotCreate, match=f"`secret/oms/media/{side}` in Vault holds a temporary access key"):
            check_keys(context, plan, found.group)
