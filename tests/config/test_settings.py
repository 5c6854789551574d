"""Each wrong setting is one line with its key, the problem and the fix; all of them are reported at once."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from bot.config.bot_toml import Project
from bot.config.settings import example, load
from bot.config.values import checked_address
from bot.config.variables import is_safe_address
from bot.redaction import Secret
from bot.vault.login import VaultAppRole, VaultToken
from tests.support.settings import GOOD, problems

PEOPLE = '["S0123456789", "U0123456789"]'


@pytest.fixture
def bot_toml(tmp_path: Path) -> Path:
    path = tmp_path / "bot.toml"
    path.write_text(example(), encoding="utf-8")
    return path


def test_the_example_is_valid(bot_toml: Path) -> None:
    config = load(GOOD | {"BOT_CONFIG": str(bot_toml)})
    media = config.projects["media"]
    assert media.policy.slots == (("S0123456789", "U0123456789"),)
    assert not media.policy.self_approval
    assert media.oms_address == "https://oms.ap-southeast-3.myhuaweicloud.com"
    assert media.iam_address == "https://iam.ap-southeast-3.myhuaweicloud.com"
    assert config.environment.vault.identity == VaultAppRole("role", Secret("secret"))


def test_a_byte_order_mark_and_line_ends_of_windows_are_accepted(bot_toml: Path) -> None:
    before = load(GOOD | {"BOT_CONFIG": str(bot_toml)})
    bot_toml.write_bytes(b"\xef\xbb\xbf" + bot_toml.read_bytes().replace(b"\n", b"\r\n"))
    after = load(GOOD | {"BOT_CONFIG": str(bot_toml)})
    assert (after.command, after.projects) == (before.command, before.projects)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SLACK_BOT_TOKEN": ""}, "SLACK_BOT_TOKEN: is not set"),
        ({"SLACK_BOT_TOKEN": "xapp-1"}, "SLACK_BOT_TOKEN: doesn't start with xoxb-"),
        ({"SLACK_APP_TOKEN": ""}, "SLACK_APP_TOKEN: is not set, and neither is SLACK_SIGNING_SECRET"),
        ({"VAULT_ADDR": ""}, "VAULT_ADDR: is not set"),
        ({"VAULT_ADDR": "http://vault.example"}, "VAULT_ADDR: is not an https address"),
        ({"VAULT_SECRET_ID": ""}, "VAULT_SECRET_ID: is not set"),
        ({"VAULT_TOKEN": "t"}, "is set together with"),
        ({"VAULT_RELEASE_ROLE_ID": "r"}, "VAULT_RELEASE_SECRET_ID: is not set"),
        ({"VAULT_SECRET_ID_FILE": "/nowhere"}, "VAULT_SECRET_ID: is set twice"),
        ({"SLACK_SIGNING_SECRET_FILE": "/nowhere"}, "SLACK_SIGNING_SECRET_FILE: can't be read"),
        ({"PORT": "99999"}, "PORT: '99999' is not a port"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"VAULT_CACERT": "/nowhere"}, "VAULT_CACERT: is the path of a file that doesn't exist"),
        ({"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE: is the path of a file that doesn't exist"),
        ({"BOT_CONFIG": "/nowhere"}, "/nowhere: can't be read"),
    ],
)
def test_each_wrong_variable_is_a_problem(bot_toml: Path, change: dict[str, str], words: str) -> None:
    assert words in problems(GOOD | {"BOT_CONFIG": str(bot_toml)} | change)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"ap-southeast-3"', '"Singapore"', "projects.media.region: is not valid"),
        ("0123456789abcdef0123456789abcdef", "abc", "projects.media.project_id"),
        ('"C0123456789"', '"#migrations"', "projects.media.channel"),
        (PEOPLE, '["alice"]', "projects.media.approvers: entry 1 is not an id. Write a list"),
        (PEOPLE, '"U0123456789"', "projects.media.approvers: is not a list. Write a list"),
        (PEOPLE, "[]", "projects.media.approvers: is empty. Write a list"),
        (PEOPLE, '[["U0123456789"], []]', "projects.media.approvers: list 2 is empty"),
        (PEOPLE, '[["U0123456789"], "U0987654321"]', "projects.media.approvers: mixes ids and lists of ids"),
        (PEOPLE, '[["U0123"], ["U0123"], ["U0456", "U0789"]]', "projects.media.approvers: has too few people"),
        ('["*"]', '"*"', 'projects.media.requesters: is not a list. Write a list of user ids ("U…") and'),
        ('["*"]', "[]", "projects.media.requesters: is empty"),
        (
            "approvals = 1",
            'approvals = "1"',
            "projects.media.approvals: is not a whole number. Use a whole number from",
        ),
        ("approvals = 1", "approvals = 0", "projects.media.approvals: is too low. Use a whole number from 1 to 20"),
        ("approvals = 1", "approvals = 21", "projects.media.approvals: is too high. Use a whole number from 1 to 20"),
        ('"8h"', '"8 hours"', "projects.media.expires_after: is not a time between 1m and 7d. Write it as"),
        ('"8h"', '"30d"', "projects.media.expires_after: is not a time between 1m and 7d. Write it as"),
        ('"8h"', "8", "projects.media.expires_after: is not text. Write it as"),
        (
            "self_approval = false",
            'self_approval = "no"',
            "projects.media.self_approval: is neither true nor false. Write",
        ),
        ("# oms_url =", "oms_url = 3 #", "projects.media.oms_url: is not text. Use https://HOST, or leave it out"),
        ("# iam_url =", 'iam_url = "https://iam.example/v3" #', "projects.media.iam_url: has a path after its host"),
        ("# iam_url =", 'iam_url = "http://iam.example" #', "projects.media.iam_url: is not an https address"),
        (
            "# console_url =",
            'console_url = "https://console.example/<x>" #',
            "projects.media.console_url: is not valid",
        ),
        (
            'mount = "secret"',
            'mount = "secret/"',
            "projects.media.vault.mount: is not valid. Use the path of the KV",
        ),
        ('"oms/media/source"', '"secret/data/oms"', "source: begins with secret/data/. Leave out the mount and data/"),
        ('"oms/media/source"', "3", "projects.media.vault.source: is not text. Use a path below the mount, or a table"),
        ('"oms/media/source"', "{}", "projects.media.vault.source: has no bucket. Use a path below the mount, or"),
        ('"oms/media/source"', '{ b = "/x" }', "projects.media.vault.source: b is not valid. Use a path below"),
        ('"oms/media/caller"', "3", "projects.media.vault.caller: is not text. Use a path below the mount"),
        ('"oms/media/caller"', '"oms/../caller"', "projects.media.vault.caller"),
        ('"oms/media/caller"', '"/oms"', "projects.media.vault.caller"),
        ("destination =", "destinations =", "projects.media.vault.destination: is missing"),
        ("destination =", "destinations =", "projects.media.vault.destinations: is not a setting"),
        (
            "approvals = 1",
            "approval = 1",
            "projects.media.approval: is not a setting. Did you mean approvals",
        ),
        ("[projects.media.vault]", "[vault]", "bot.toml: vault: is not a setting. It belongs in another table"),
        ('"/resume-taskgroup"', '"resume"', "command: is not valid. Use /"),
        ("[projects.media]", "[projects.media", "is not TOML"),
    ],
)
def test_each_wrong_setting_is_a_problem(bot_toml: Path, old: str, new: str, words: str) -> None:
    text = example()
    assert old in text
    bot_toml.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert words in problems(GOOD | {"BOT_CONFIG": str(bot_toml)})


def test_all_problems_are_reported_at_once_and_serve_exits_with_2(bot_toml: Path) -> None:
    bot_toml.write_text(example().replace('"8h"', '"x"'), encoding="utf-8")
    environ = {"BOT_CONFIG": str(bot_toml), "PATH": ""}
    ended = subprocess.run(
        [sys.executable, "-m", "bot", "serve"], env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == len(problems(environ).splitlines()) == 5


def test_a_secret_can_come_from_a_file_and_is_not_shown(bot_toml: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hvs.something-secret\n")
    environ = {name: value for name, value in GOOD.items() if not name.startswith("VAULT_")}
    environ |= {"VAULT_ADDR": "http://127.0.0.1:8200", "VAULT_TOKEN_FILE": str(tmp_path / "token")}
    config = load(environ | {"BOT_CONFIG": str(bot_toml)})
    identity = config.environment.vault.identity
    assert isinstance(identity, VaultToken)
    assert identity.token.reveal() == "hvs.something-secret"
    assert "something-secret" not in repr(config)
    assert "xoxb" not in repr(config)


def lines_of(bot_toml: Path, text: str) -> list[str]:
    bot_toml.write_text(text, encoding="utf-8")
    return problems(GOOD | {"BOT_CONFIG": str(bot_toml)}).splitlines()


def media(bot_toml: Path, old: str, new: str) -> Project:
    """The project of the example, with one valid change."""
    text = example()
    assert old in text
    bot_toml.write_text(text.replace(old, new), encoding="utf-8")
    return load(GOOD | {"BOT_CONFIG": str(bot_toml)}).projects["media"]


def test_a_flat_list_is_a_slot_for_each_approval_and_each_inner_list_is_a_slot(bot_toml: Path) -> None:
    flat = ("S0123456789", "U0123456789")
    assert media(bot_toml, "approvals = 1", "approvals = 2").policy.slots == (flat, flat)
    lists = '[["S0123456789"], ["S0123456789"], ["U0123456789"]]'
    assert media(bot_toml, PEOPLE, lists).policy.slots == (("S0123456789",), ("S0123456789",), ("U0123456789",))
    assert media(bot_toml, "self_approval = false", "self_approval = true").policy.self_approval


def test_a_bucket_has_its_own_source_path_or_the_default_one(bot_toml: Path) -> None:
    table = 'source = { "photos" = "a", "*" = "b" }'
    project = media(bot_toml, 'source = "oms/media/source"', table)
    assert [project.source_path(bucket) for bucket in ("photos", "else")] == ["a", "b"]
    project = media(bot_toml, 'source = "oms/media/source"', table.replace("*", "videos"))
    assert project.source_path("else") is None


def test_addresses_follow_from_the_region_unless_set(bot_toml: Path) -> None:
    away = media(bot_toml, '"ap-southeast-3"', '"ap-southeast-5"')
    assert away.iam_address == "https://iam.myhuaweicloud.com", "the region uses the global IAM"
    region = 'region = "ap-southeast-3"'
    set_ = media(bot_toml, region, f'{region}\noms_url = "https://oms.example/"\niam_url = "https://iam.example"')
    assert (set_.oms_address, set_.iam_address) == ("https://oms.example", "https://iam.example")


@pytest.mark.parametrize(("text", "is_right"), [("1m", True), ("59s", False), ("7d", True), ("169h", False)])
def test_expires_after_is_from_a_minute_to_a_week(bot_toml: Path, text: str, is_right: bool) -> None:
    if is_right:
        assert media(bot_toml, '"8h"', f'"{text}"').expires_after == text
    else:
        bot_toml.write_text(example().replace('"8h"', f'"{text}"'), encoding="utf-8")
        assert "projects.media.expires_after: is not" in problems(GOOD | {"BOT_CONFIG": str(bot_toml)})


@pytest.mark.parametrize(
    ("text", "limit"),
    [("24h", timedelta(hours=24)), ("1d", timedelta(hours=24)), ("1m", timedelta(minutes=1)), ("0", timedelta(0))],
)
def test_schedule_ahead_is_a_time_up_to_a_day_or_zero(bot_toml: Path, text: str, limit: timedelta) -> None:
    assert media(bot_toml, '"24h"', f'"{text}"').schedule_limit == limit


@pytest.mark.parametrize("text", ["25h", "2d", "24", "0h", "tonight", ""])
def test_any_other_schedule_ahead_is_a_problem(bot_toml: Path, text: str) -> None:
    bot_toml.write_text(example().replace('"24h"', f'"{text}"'), encoding="utf-8")
    assert (
        "bot.toml: projects.media.schedule_ahead: is neither 0 nor a time between 1m and 24h. "
        'Write it as "30m" or "8h", up to "24h", or write "0" to turn off start times.'
    ) in problems(GOOD | {"BOT_CONFIG": str(bot_toml)})


@pytest.mark.parametrize("path", ["a" * 513, "a/./b", "a/../b"])
def test_a_path_that_vault_would_resolve_differently_is_a_problem(bot_toml: Path, path: str) -> None:
    bot_toml.write_text(example().replace('"oms/media/source"', f'"{path}"'), encoding="utf-8")
    assert "projects.media.vault.source: " in problems(GOOD | {"BOT_CONFIG": str(bot_toml)})
    assert media(bot_toml, '"oms/media/source"', f'"{"a" * 512}"').vault.source == "a" * 512


def test_an_id_with_trailing_characters_is_a_problem(bot_toml: Path) -> None:
    bot_toml.write_text(example().replace(PEOPLE, '["U0123456789>"]'), encoding="utf-8")
    assert "projects.media.approvers: entry 1 is not an id" in problems(GOOD | {"BOT_CONFIG": str(bot_toml)})


def test_a_file_that_is_not_text_is_a_problem(bot_toml: Path) -> None:
    bot_toml.write_bytes(b"\xff\xfe")
    assert f"{bot_toml}: is not TOML" in problems(GOOD | {"BOT_CONFIG": str(bot_toml)})


def test_two_approvals_need_two_approvers(bot_toml: Path) -> None:
    text = example().replace("approvals = 1", "approvals = 2")
    (line,) = lines_of(bot_toml, text.replace(PEOPLE, '["U0123456789"]'))
    assert "projects.media.approvals: needs 2 people, but approvers has 1 person." in line
    bot_toml.write_text(text, encoding="utf-8")
    load(GOOD | {"BOT_CONFIG": str(bot_toml)})  # The number of members of the user group is not known here.


def test_approvals_is_allowed_only_with_a_flat_list(bot_toml: Path) -> None:
    text = example().replace(PEOPLE, '[["U0123456789"], ["S0123456789"]]').replace("approvals = 1", "approvals = 2")
    (line,) = lines_of(bot_toml, text)
    assert "projects.media.approvals: is allowed only with a flat list of approvers. Leave it out" in line


def test_a_problem_of_approvals_hides_no_other_problem(bot_toml: Path) -> None:
    text = example().replace("approvals = 1", "approvals = 2").replace(PEOPLE, '["U0123456789"]')
    lines = lines_of(bot_toml, text.replace('"8h"', '"x"').replace('"C0123456789"', '"#x"'))
    keys = [line.split(": ")[1] for line in lines]
    assert keys == ["projects.media.channel", "projects.media.approvals", "projects.media.expires_after"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "projects.media",
            "projects.Media",
            "projects.Media: is not a valid project name. Use up to 32 lowercase letters",
        ),
        ("[projects.media]", '[projects."my media"]', "projects.my media: is not a valid project name."),
        ("[projects.media.vault]", "[projects.vault]", "projects.vault: is not a project"),
        ("[projects.media.vault]", "[projects.medai.vault]", "projects.medai: is not a project"),
        ("[projects.media]", "[projects]", "projects: has settings that belong in one project's table"),
    ],
)
def test_a_table_under_a_wrong_name_is_one_problem(bot_toml: Path, old: str, new: str, words: str) -> None:
    (line,) = lines_of(bot_toml, example().replace(old, new))
    assert words in line


def second(change: str, to: str) -> str:
    """The example and a second project that differs from it in one place."""
    table = example().replace("projects.media", "projects.archive").replace("command =", "# command =")
    table = table.replace("keep =", "# keep =")
    assert change in table
    return example() + table.replace(change, to)


def test_a_huawei_cloud_project_in_two_tables_is_a_problem(bot_toml: Path) -> None:
    (line,) = lines_of(bot_toml, second(PEOPLE, '["U0123456789"]'))
    assert "projects: media and archive are the same Huawei Cloud project" in line
    (line,) = lines_of(bot_toml, second(PEOPLE, PEOPLE).replace("project_id =", "# project_id ="))
    assert "projects: media and archive are the same Huawei Cloud project" in line


@pytest.mark.parametrize("host", ["OMS.ap-southeast-3.myhuaweicloud.com", "oms.example"])
def test_two_addresses_of_one_huawei_cloud_project_are_one_project(bot_toml: Path, host: str) -> None:
    for url in (f"https://{host}", f"https://{host}:443", f"https://{host}./"):
        (line,) = lines_of(bot_toml, second("# oms_url =", f'oms_url = "{url}" #'))
        assert "projects: media and archive are the same Huawei Cloud project" in line
        without_ids = second("# oms_url =", f'oms_url = "{url}" #').replace("project_id =", "# project_id =")
        bot_toml.write_text(without_ids, encoding="utf-8")
        if host == "oms.example":
            load(GOOD | {"BOT_CONFIG": str(bot_toml)})
        else:
            assert "are the same Huawei Cloud project" in problems(GOOD | {"BOT_CONFIG": str(bot_toml)})


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://OMS.Example:443/", "https://oms.example"),
        ("HTTPS://oms.example.", "https://oms.example"),
        ("https://oms.example:8443", "https://oms.example:8443"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
    ],
)
def test_addresses_are_normalised(url: str, kept: str) -> None:
    assert checked_address(url, "oms_url") == kept


@pytest.mark.parametrize(
    "text",
    [
        second("0123456789abcdef0123456789abcdef", "f" * 32),
        second('region = "ap-southeast-3"', 'region = "ap-southeast-1"').replace("project_id =", "# project_id ="),
    ],
)
def test_different_projects_may_share_a_channel(bot_toml: Path, text: str) -> None:
    bot_toml.write_text(text, encoding="utf-8")
    projects = load(GOOD | {"BOT_CONFIG": str(bot_toml)}).projects
    assert {project.channel for project in projects.values()} == {"C0123456789"}
    assert len(projects) == 2


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://vault.example:8200", True),
        ("http://127.0.0.1:8200", True),
        ("http://localhost", True),
        ("http://127.0.0.1.evil.example", False),
        ("http://vault.example", False),
        ("https://user:pass@vault.example", False),
        ("https://vault.example?x=1", False),
        ("ftp://127.0.0.1", False),
        ("https://", False),
        ("https://[::1", False),
    ],
)
def test_secrets_are_sent_only_over_https_or_to_this_machine(url: str, safe: bool) -> None:
    assert is_safe_address(url) is safe
