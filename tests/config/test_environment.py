"""A wrong environment variable is one line that names it and never shows its value."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import certifi
import pytest

from bot.config.problems import InvalidSettings
from bot.config.settings import example, load, load_database_url, load_state_keys
from bot.domain.request_record import Authenticity
from bot.redaction import Secret
from bot.store.state_keys import StateKeys
from tests.support.settings import GOOD, problems

TOKENS = {
    "SLACK_BOT_TOKEN": "xoxb-",
    "SLACK_APP_TOKEN": "xapp-",
    "SLACK_SIGNING_SECRET": "",
    "VAULT_ROLE_ID": "",
    "VAULT_SECRET_ID": "",
    "VAULT_RELEASE_ROLE_ID": "",
    "VAULT_RELEASE_SECRET_ID": "",
    "VAULT_NAMESPACE": "",
}


@pytest.fixture
def bot_toml(tmp_path: Path) -> Path:
    path = tmp_path / "bot.toml"
    path.write_text(example(), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("value", ["leaks…", "leaks here", "leaks\n", "leaks\x7f", "leäks"])
def test_a_token_must_be_printable_ascii_without_blanks(bot_toml: Path, name: str, value: str) -> None:
    release = {"VAULT_RELEASE_ROLE_ID": "role", "VAULT_RELEASE_SECRET_ID": "secret"}
    lines = problems(GOOD | release | {"BOT_CONFIG": str(bot_toml), name: TOKENS[name] + value})
    assert lines.startswith(f"{name}: contains a space or a character that is not ASCII")
    assert len(lines.splitlines()) == 1
    assert value.strip() not in lines


def test_valid_variables_are_accepted_in_every_spelling(bot_toml: Path) -> None:
    more = {"LOG_LEVEL": "debug", "PORT": "65535", "LISTEN": "::1", "SLACK_API_URL": "http://127.0.0.1:8080/api"}
    more |= {"DATABASE_URL": "sqlite:////data/of the böt.sqlite", "SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": "s"}
    read = load(GOOD | more | {"BOT_CONFIG": str(bot_toml)}).environment
    assert (read.log_level, read.listen, read.port, read.ops_port) == ("DEBUG", "::1", 65535, 3001)
    assert read.slack_api_url == "http://127.0.0.1:8080/api/"
    assert read.database_url.reveal() == more["DATABASE_URL"]
    assert read.slack_app_token is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "65536", "PORT: '65536' is not a port"),
        ("OPS_PORT", "３００１", "OPS_PORT: '３００１' is not a port"),
        ("LISTEN", "localhost", "LISTEN: 'localhost' is not an IP address"),
        ("VAULT_ADDR", "https://vault.example/#x", "VAULT_ADDR: is not an https address"),
        ("VAULT_ADDR", "https://vault.example/?x", "VAULT_ADDR: is not an https address"),
    ],
)
def test_a_partly_valid_variable_is_one_problem(bot_toml: Path, name: str, value: str, words: str) -> None:
    lines = problems(GOOD | {"BOT_CONFIG": str(bot_toml), name: value})
    assert lines.startswith(words)
    assert len(lines.splitlines()) == 1


def test_an_empty_secret_file_is_a_problem(bot_toml: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    environ = {**GOOD, "BOT_CONFIG": str(bot_toml), "SLACK_SIGNING_SECRET_FILE": str(tmp_path / "empty")}
    assert problems(environ).startswith("SLACK_SIGNING_SECRET_FILE: is the path of an empty file")


STATE_KEY_FIXES = {
    "STATE_KEY": "Use a random key, such as from `openssl rand -base64 32`",
    "STATE_KEY_FORMER": "Use the whole former STATE_KEY or bot token",
}


@pytest.mark.parametrize("name", STATE_KEY_FIXES)
def test_a_short_state_key_is_one_problem(bot_toml: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "key"
    path.write_text("leak" * 7 + "123\n")
    for variables in ({name: "leak" * 7 + "123"}, {f"{name}_FILE": str(path)}):
        lines = problems(GOOD | {"BOT_CONFIG": str(bot_toml)} | variables)
        assert lines == f"{name}: has fewer than 32 characters. {STATE_KEY_FIXES[name]}."
        with pytest.raises(InvalidSettings, match=f"^{name}: has fewer than 32 characters"):
            load_state_keys(variables)


@pytest.mark.parametrize("name", STATE_KEY_FIXES)
def test_a_state_key_that_is_set_twice_or_not_readable_is_one_problem(bot_toml: Path, name: str) -> None:
    lines = problems(GOOD | {"BOT_CONFIG": str(bot_toml), name: "leak" * 8, f"{name}_FILE": "/nowhere"})
    assert lines == f"{name}: is set twice, in {name} and in {name}_FILE. Set one of the two."
    lines = problems(GOOD | {"BOT_CONFIG": str(bot_toml), f"{name}_FILE": "/nowhere"})
    assert lines.startswith(f"{name}_FILE: can't be read")
    assert len(lines.splitlines()) == 1


def test_a_state_key_of_32_characters_signs_in_place_of_the_bot_token(bot_toml: Path, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("k" * 32 + "\n")
    variables = {"STATE_KEY_FILE": str(path), "STATE_KEY_FORMER": "f" * 32}
    read = load(GOOD | variables | {"BOT_CONFIG": str(bot_toml)}).environment
    assert (read.state_key, read.state_key_former) == (Secret("k" * 32), Secret("f" * 32))
    keys = load_state_keys(variables | {"SLACK_BOT_TOKEN": GOOD["SLACK_BOT_TOKEN"]})
    for secret, authenticity in (("k", Authenticity.AUTHENTIC), ("f", Authenticity.AUTHENTIC), ("x", "unknown key")):
        mac = StateKeys(lambda secret=secret: Secret(secret * 32)).sign("audit", "row")  # type: ignore[misc]
        assert keys.check(mac, "audit", "row") == authenticity
    assert keys.sign("audit", "row") == StateKeys(lambda: Secret("k" * 32)).sign("audit", "row")


def test_without_a_state_key_the_key_is_derived_from_the_bot_token(bot_toml: Path) -> None:
    assert load(GOOD | {"BOT_CONFIG": str(bot_toml)}).environment.state_key is None
    keys = load_state_keys({"SLACK_BOT_TOKEN": "xoxb-the-token-of-this-test"})
    # HKDF-SHA-256 without salt: openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt key:xoxb-the-token-of-this-test
    # -kdfopt "info:taskgroup-bot state key" HKDF. If this value changes, an upgrade makes all rows unknown.
    assert keys.sign("audit", "row") == "5329dc6b 119d1e1a387376a1403e85cb2aaac95bd55f4371ed32af2a49f1be726d9cb5e5"
    assert not load_state_keys({}).has_current


@pytest.mark.parametrize("command", ["check", "serve"])
def test_the_placeholders_of_the_readme_are_one_problem_each(bot_toml: Path, command: str) -> None:
    placeholders = {
        "SLACK_BOT_TOKEN": "xoxb-…",
        "SLACK_APP_TOKEN": "xapp-…",
        "VAULT_ADDR": "https://vault.example.com",
        "VAULT_ROLE_ID": "…",
        "VAULT_SECRET_ID": "…",
    }
    environ = os.environ | placeholders | {"BOT_CONFIG": str(bot_toml)}
    ended = subprocess.run(
        [sys.executable, "-m", "bot", command], env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    named = [line.split(":")[0] for line in ended.stderr.splitlines()]
    assert named == ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://bot:p@leak:leak@db/bot", "is not a valid URL"),
        ("postgresql://bot:leak@db:leak/bot", "is not a valid URL"),
        ("postgresql://bot:p@leak@db/bot", "has more than one @"),
        ("postgresql://bot:leak@one,two:leak/bot", "is not a valid URL"),
        ("postgresql://bot:p@leak@one,two/bot", "has more than one @"),
        ("postgresql+leak://db/bot", "is neither SQLite nor PostgreSQL"),
        ("leak", "is not a valid URL"),
        ("sqlite://", "has no file"),
        ("sqlite:///", "has no file"),
        ("sqlite:///:memory:", "has no file"),
        ("sqlite://leak/bot.sqlite", "has no file"),
    ],
)
def test_an_invalid_database_url_is_reported_without_its_password(bot_toml: Path, url: str, words: str) -> None:
    lines = problems(GOOD | {"BOT_CONFIG": str(bot_toml), "DATABASE_URL": url})
    assert lines.startswith(f"DATABASE_URL: {words}")
    assert len(lines.splitlines()) == 1
    assert "leak" not in lines


@pytest.mark.parametrize("command", ["serve", "check", "audit verify", "audit export"])
def test_no_command_prints_a_part_of_the_database_password(bot_toml: Path, command: str) -> None:
    environ = os.environ | GOOD | {"BOT_CONFIG": str(bot_toml), "DATABASE_URL": "postgresql://bot:p@leak:leak@db/bot"}
    ended = subprocess.run(
        [sys.executable, "-m", "bot", *command.split()], env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("DATABASE_URL: ")
    assert len(ended.stderr.splitlines()) == 1
    assert "leak" not in ended.stderr + ended.stdout


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////data/bot.sqlite",
        "postgresql://bot:p%40ss@db:5432/bot",
        "postgresql:///bot",
        "postgres://bot@db/bot",
        "postgresql+psycopg://bot@db/bot",
        "postgresql://bot:p@one:5432,two:5433/bot?sslmode=require",
    ],
)
def test_a_valid_database_url_is_kept_unchanged(url: str) -> None:
    assert load_database_url({"DATABASE_URL": url}).reveal() == url


def test_the_database_url_is_read_without_any_other_setting(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("sqlite:////data/bot.sqlite\n")
    assert load_database_url({"DATABASE_URL_FILE": str(tmp_path / "url")}).reveal() == "sqlite:////data/bot.sqlite"
    with pytest.raises(InvalidSettings, match="DATABASE_URL_FILE: can't be read"):
        load_database_url({"DATABASE_URL_FILE": "/nowhere"})


def test_vault_cacert_must_hold_a_certificate(bot_toml: Path) -> None:
    words = "VAULT_CACERT: is the path of a file without a certificate"
    assert words in problems(GOOD | {"BOT_CONFIG": str(bot_toml), "VAULT_CACERT": str(bot_toml)})
    assert load(GOOD | {"BOT_CONFIG": str(bot_toml), "VAULT_CACERT": certifi.where()}).environment.vault.ca


@pytest.mark.parametrize("url", ["https://vault.…", "https://vault.example.com/ x"])
def test_an_address_must_be_printable_ascii(bot_toml: Path, url: str) -> None:
    assert "VAULT_ADDR: is not an https address" in problems(GOOD | {"BOT_CONFIG": str(bot_toml), "VAULT_ADDR": url})
