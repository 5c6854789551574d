"""The manifest is valid in Slack, and requests only the scopes and events that the code uses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator

from bot.check.slack import SCOPES
from bot.config.bot_toml import BotToml
from bot.sandbox.slack.ids import SCOPES as SANDBOX_SCOPES

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "manifest.yml").read_text(encoding="utf-8")
MANIFEST: dict[str, Any] = yaml.safe_load(TEXT)
# Written by hand from Slack's schema 2.0.0: only the parts that the manifest uses, each object closed, and some values
# narrower than Slack's.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["display_information"],
    "properties": {
        "_metadata": {"type": "object", "properties": {"major_version": {"const": 2}}, "required": ["major_version"]},
        "display_information": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "maxLength": 35},
                "description": {"type": "string", "maxLength": 140},
                "background_color": {"type": "string", "pattern": "^#[0-9a-f]{6}$"},
            },
        },
        "features": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "app_home": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "home_tab_enabled": {"type": "boolean"},
                        "messages_tab_enabled": {"const": True},
                        "messages_tab_read_only_enabled": {"type": "boolean"},
                    },
                },
                "bot_user": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["display_name"],
                    "properties": {
                        "display_name": {"type": "string", "maxLength": 80, "pattern": "^[a-z0-9._-]+$"},
                        "always_online": {"type": "boolean"},
                    },
                },
                "slash_commands": {
                    "type": "array",
                    "maxItems": 50,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["command", "description"],
                        "properties": {
                            "command": {"type": "string", "pattern": "^/[a-z0-9_-]{1,31}$"},
                            "description": {"type": "string", "maxLength": 2000},
                            "usage_hint": {"type": "string", "maxLength": 1000},
                            "should_escape": {"const": True},
                        },
                    },
                },
            },
        },
        "oauth_config": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "scopes": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"bot": {"type": "array", "items": {"type": "string", "maxLength": 50}}},
                }
            },
        },
        "settings": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "event_subscriptions": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"bot_events": {"type": "array", "maxItems": 100, "items": {"type": "string"}}},
                },
                "interactivity": {"type": "object", "properties": {"is_enabled": {"const": True}}},
                "org_deploy_enabled": {"type": "boolean"},
                "socket_mode_enabled": {"type": "boolean"},
                "token_rotation_enabled": {"const": False},
            },
        },
    },
}


def test_the_manifest_matches_slacks_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert [error.message for error in Draft7Validator(SCHEMA).iter_errors(MANIFEST)] == []


def test_its_scopes_are_those_that_check_requires_and_each_has_a_reason() -> None:
    scopes = MANIFEST["oauth_config"]["scopes"]["bot"]
    assert sorted(scopes) == sorted(SCOPES) == sorted(SANDBOX_SCOPES)
    for scope in scopes:
        assert re.search(rf"- {scope} # \w", TEXT), f"{scope} gives no reason"


def test_it_subscribes_to_exactly_the_events_with_a_listener() -> None:
    listeners = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "bot/listeners").glob("*.py"))
    events = MANIFEST["settings"]["event_subscriptions"]["bot_events"]
    assert sorted(events) == sorted(re.findall(r'app\.event\("([a-z_]+)"\)', listeners))


def test_its_command_is_the_default_of_bot_toml() -> None:
    [command] = MANIFEST["features"]["slash_commands"]
    assert command["command"] == BotToml.model_fields["command"].default
