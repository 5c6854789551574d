"""A request is created only for a project with one table in bot.toml, an allowed start, and permanent keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot.jobs.ask.preflight import CannotCreate, CannotCreateNow, check_keys, find_group, plan_for, start_at
from bot.jobs.context import Context
from bot.sandbox.huawei.credentials import PROJECT_ID
from bot.sandbox.huawei.example_groups import LEDGERS, NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.slack.ids import ALICE
from bot.sandbox.system import Sandbox
from bot.ui.formatting import local_time
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
        with pytest.raises(CannotCreate, match="The bot couldn't check whether bot"):
            find_group(context, ["media"], NIGHTLY_IMAGES)


def test_two_tables_of_one_region_with_different_projects_are_accepted(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    with with_second_table(sandbox, (PROJECT_ID, "f" * 32)) as context:
        assert find_group(context, ["media"], NIGHTLY_IMAGES).project == "media"


@pytest.fixture
def two_projects(new_sandbox: Callable[..., Sandbox]) -> Iterator[tuple[Sandbox, Context]]:
    sandbox = new_sandbox(projects=2)
    with context_of(sandbox) as context:
        yield sandbox, context


def test_a_group_that_one_project_has_is_found_while_another_project_fails(
    two_projects: tuple[Sandbox, Context],
) -> None:
    sandbox, context = two_projects
    sandbox.oms_by_project["archive"].faults.add("show", *[Answer(503, "APIG.0601")] * 2)
    assert find_group(context, ["media", "archive"], NIGHTLY_IMAGES).project == "media"
    assert sandbox.oms_by_project["archive"].faults.pending("show") == (), "it was asked twice"


def test_a_group_that_no_project_has_while_one_fails_is_refused_with_code_and_request_id(
    two_projects: tuple[Sandbox, Context],
) -> None:
    sandbox, context = two_projects
    sandbox.oms_by_project["archive"].faults.add("show", *[Answer(503, "APIG.0601")] * 2)
    with pytest.raises(
        CannotCreateNow, match=r"Project archive couldn't be searched \(APIG\.0601\)\. .*Huawei request id"
    ):
        find_group(context, ["media", "archive"], LEDGERS)
    assert find_group(context, ["media", "archive"], LEDGERS).project == "archive"


def test_a_refused_signature_is_not_sent_again(two_projects: tuple[Sandbox, Context]) -> None:
    sandbox, context = two_projects
    sandbox.oms_by_project["archive"].faults.add("show", *[Answer(401, "APIG.0301")] * 2)
    assert find_group(context, ["media", "archive"], NIGHTLY_IMAGES).project == "media"
    assert len(sandbox.oms_by_project["archive"].faults.pending("show")) == 1


def test_a_project_that_is_in_the_settings_twice_is_refused_while_its_other_table_fails(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox()
    unreachable = (f'oms_url = "{sandbox.oms.server.url}"', 'oms_url = "http://127.0.0.1:9"')
    with with_second_table(sandbox, WITHOUT_PROJECT_ID, unreachable) as context:
        for searched in (["media"], ["media", "easy"]):
            with pytest.raises(CannotCreate, match=r"in bot\.toml twice, under two names"):
                find_group(context, searched, NIGHTLY_IMAGES)


MORNING = datetime(2026, 3, 2, 0, 44, 30, tzinfo=UTC)  # 08:44 for alice


@pytest.fixture
def context(new_sandbox: Callable[..., Sandbox]) -> Iterator[Context]:
    with context_of(new_sandbox()) as made:
        yield made


def with_schedule_ahead(sandbox: Sandbox, value: str) -> None:
    toml = sandbox.directory / "bot.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace("[projects.media]", f'[projects.media]\nschedule_ahead = "{value}"'), encoding="utf-8")


def test_a_start_after_the_end_of_voting_is_accepted(context: Context) -> None:
    start = start_at(context_at(context, MORNING), ALICE, (22, 30), "media", MORNING)
    assert start == datetime(2026, 3, 2, 14, 30, tzinfo=UTC), "22:30 in Singapore"
    assert start_at(context, ALICE, None, "media", MORNING) is None


def test_the_start_is_the_next_one_after_the_command_was_typed(context: Context) -> None:
    start = datetime(2026, 3, 2, 0, 45, tzinfo=UTC)
    half_an_hour_later = context_at(context, MORNING + timedelta(minutes=30))
    assert start_at(half_an_hour_later, ALICE, (8, 45), "media", MORNING) == start
    too_late = context_at(context, start + timedelta(hours=1))
    with pytest.raises(CannotCreate, match="couldn't create the request within an hour of its start time"):
        start_at(too_late, ALICE, (8, 45), "media", MORNING)


def test_a_start_beyond_schedule_ahead_is_refused_with_the_latest_time(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    with_schedule_ahead(sandbox, "8h")
    with context_of(sandbox) as context:
        context = context_at(context, MORNING)
        latest = local_time(MORNING + timedelta(hours=8))
        with pytest.raises(CannotCreate) as refusal:
            start_at(context, ALICE, (22, 30), "media", MORNING)
        assert str(refusal.value) == (
            f"In project media, a start time can be at most 8h ahead. The latest start time is {latest}. "
            "No request was created."
        )


def test_a_project_can_turn_start_times_off(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    with_schedule_ahead(sandbox, "0")
    with context_of(sandbox) as context:
        with pytest.raises(CannotCreate) as refusal:
            start_at(context, ALICE, (22, 30), "media", MORNING)
        assert str(refusal.value) == (
            "Project media doesn't allow start times. Request it again without one. No request was created."
        )


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


def test_a_key_that_is_an_object_is_refused_before_a_request_is_created(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    found = find_group(context, ["media"], NIGHTLY_IMAGES)
    plan = plan_for(context, found)
    sandbox.vault.write("oms/media/source", {"ak": {"x": "y"}, "sk": "s", "note": {"x": "y"}})
    with pytest.raises(CannotCreate) as refused:
        check_keys(context, plan, found.group)
    assert str(refused.value) == (
        "The value of ak at `secret/oms/media/source` in Vault is a JSON object. Write it there as text, then request "
        "it again. No request was created."
    )
