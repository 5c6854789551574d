"""A wrong setting is one line that says which, what, and how to fix it; all of them at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bot.config import ConfigFaults, example, load
from bot.environment import is_safe_address
from bot.identity import VaultAppRole, VaultKubernetes, VaultToken

GOOD = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "VAULT_ADDR": "https://vault.example",
    "VAULT_ROLE_ID": "role",
    "VAULT_SECRET_ID": "secret",
}


@pytest.fixture
def bot_toml(tmp_path: Path) -> Path:
    path = tmp_path / "bot.toml"
    path.write_text(example(), encoding="utf-8")
    return path


def faults(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigFaults) as raised:
        load(environ)
    return str(raised.value)


def test_the_example_is_right(bot_toml: Path) -> None:
    config = load(GOOD | {"BOT_CONFIG": str(bot_toml)})
    media = config.projects["media"]
    assert media.policy.places == (("S0123456789", "U0123456789"),)
    assert media.oms_address == "https://oms.ap-southeast-3.myhuaweicloud.com"
    assert config.environment.vault_identity == VaultAppRole("role", config.environment.vault_identity.secret_id)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SLACK_BOT_TOKEN": ""}, "SLACK_BOT_TOKEN: is not set"),
        ({"SLACK_BOT_TOKEN": "xapp-1"}, "SLACK_BOT_TOKEN: does not begin with xoxb-"),
        ({"SLACK_APP_TOKEN": ""}, "SLACK_APP_TOKEN: is not set, and neither is SLACK_SIGNING_SECRET"),
        ({"VAULT_ADDR": ""}, "VAULT_ADDR: is not set"),
        ({"VAULT_ADDR": "http://vault.example"}, "VAULT_ADDR: is not an https address"),
        ({"VAULT_SECRET_ID": ""}, "VAULT_SECRET_ID: is not set"),
        ({"VAULT_TOKEN": "t"}, "is set beside"),
        ({"VAULT_RELEASE_ROLE_ID": "r"}, "VAULT_RELEASE_SECRET_ID: is not set"),
        ({"VAULT_SECRET_ID_FILE": "/nowhere"}, "VAULT_SECRET_ID: is set twice"),
        ({"SLACK_SIGNING_SECRET_FILE": "/nowhere"}, "SLACK_SIGNING_SECRET_FILE: cannot be read"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL: is neither"),
        ({"PORT": "99999"}, "PORT: '99999' is not a port"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"VAULT_CACERT": "/nowhere"}, "VAULT_CACERT: names a file that is not there"),
        ({"BOT_CONFIG": "/nowhere"}, "/nowhere: cannot be read"),
    ],
)
def test_each_wrong_variable_is_named(bot_toml: Path, change: dict[str, str], words: str) -> None:
    assert words in faults(GOOD | {"BOT_CONFIG": str(bot_toml)} | change)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"ap-southeast-3"', '"Singapore"', "projects.media.region: is not well-formed"),
        ("0123456789abcdef0123456789abcdef", "abc", "projects.media.project_id"),
        ('"C0123456789"', '"#migrations"', "projects.media.channel"),
        ('["S0123456789", "U0123456789"]', '["alice"]', "projects.media.approvers"),
        ('["S0123456789", "U0123456789"]', "[]", "approvers holds an empty list"),
        ('["S0123456789", "U0123456789"]', '[["U0123456789"], []]', "approvers holds an empty list"),
        ("approvals = 1", 'approvals = "1"', "projects.media.approvals"),
        ("approvals = 1", "approvals = 0", "projects.media.approvals"),
        ('"8h"', '"8 hours"', "projects.media.expires_after: is not between 1m and 7d"),
        ('"8h"', '"30d"', "projects.media.expires_after: is not between 1m and 7d"),
        ("self_approval = false", 'self_approval = "no"', "projects.media.self_approval"),
        ('"oms/media/caller"', '"oms/../caller"', "projects.media.vault.caller"),
        ('"oms/media/caller"', '"/oms"', "projects.media.vault.caller"),
        ("destination =", "destinations =", "projects.media.vault.destination: is missing"),
        ("destination =", "destinations =", "projects.media.vault.destinations: is not a setting"),
        ('"/resume-taskgroup"', '"resume"', "command"),
        ("[projects.media]", "[projects.media", "is not TOML"),
    ],
)
def test_each_wrong_setting_is_named(bot_toml: Path, old: str, new: str, words: str) -> None:
    text = example()
    assert old in text
    bot_toml.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert words in faults(GOOD | {"BOT_CONFIG": str(bot_toml)})


def test_all_faults_are_told_at_once_and_serve_ends_with_2(bot_toml: Path) -> None:
    bot_toml.write_text(example().replace('"8h"', '"x"'), encoding="utf-8")
    environ = {"BOT_CONFIG": str(bot_toml), "PATH": ""}
    ended = subprocess.run(
        [sys.executable, "-m", "bot", "serve"], env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == len(faults(environ).splitlines()) == 5


def test_a_secret_may_come_from_a_file_and_is_not_shown(bot_toml: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hvs.something-secret\n")
    environ = {name: value for name, value in GOOD.items() if not name.startswith("VAULT_")}
    environ |= {"VAULT_ADDR": "http://127.0.0.1:8200", "VAULT_TOKEN_FILE": str(tmp_path / "token")}
    config = load(environ | {"BOT_CONFIG": str(bot_toml)})
    identity = config.environment.vault_identity
    assert isinstance(identity, VaultToken)
    assert identity.token.reveal() == "hvs.something-secret"
    assert "something-secret" not in repr(config)
    assert "xoxb" not in repr(config)


def test_kubernetes_is_a_way_to_log_in(bot_toml: Path) -> None:
    environ = {name: value for name, value in GOOD.items() if name not in ("VAULT_ROLE_ID", "VAULT_SECRET_ID")}
    config = load(environ | {"VAULT_K8S_ROLE": "bot", "BOT_CONFIG": str(bot_toml)})
    assert config.environment.vault_identity == VaultKubernetes("bot")


def test_two_approvals_need_two_people(bot_toml: Path) -> None:
    text = (
        example().replace('["S0123456789", "U0123456789"]', '["U0123456789"]').replace("approvals = 1", "approvals = 2")
    )
    bot_toml.write_text(text, encoding="utf-8")
    assert "names 1 people, and 2 must approve" in faults(GOOD | {"BOT_CONFIG": str(bot_toml)})


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
def test_secrets_travel_over_https_alone(url: str, safe: bool) -> None:
    assert is_safe_address(url) is safe
