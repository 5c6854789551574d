"""Of every login for a release the audit says when it began, what was read with it, and whether it was given back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from bot.identity import VaultToken
from bot.redaction import Secret
from bot.request.model import Request
from bot.sandbox import oms_world as ow
from bot.sandbox.town import Town
from bot.store.audit import links
from bot.vault import ReleaseSession, Vault
from bot.vault_faults import VaultFault
from bot.work.keys import KeysUnfit, read_body
from bot.work.tools import Tools
from tests.support.inside import asked, tools_of

SOURCE, DESTINATION = "secret/oms/media/source", "secret/oms/media/destination"


@pytest.fixture
def inside(new_town: Callable[..., Town]) -> Iterator[tuple[Town, Tools, Request]]:
    town = new_town()
    with tools_of(town) as tools:
        yield town, tools, asked(town, tools)[0]


def told(tools: Tools) -> list[tuple[str, dict[str, Any]]]:
    with tools.store.read() as connection:
        return [(link.event, json.loads(link.detail)) for link in links(connection) if link.event.startswith("vault")]


def test_the_end_of_a_login_is_left_to_the_row_of_the_call_that_follows(inside: tuple[Town, Tools, Request]) -> None:
    _, tools, request = inside
    body = read_body(tools, request)
    [(first, _)] = told(tools)
    assert first == "vault opened"
    assert body.closed == {SOURCE: 1, DESTINATION: 1, "token given back": True}


def test_keys_that_cannot_work_are_told_with_their_versions(inside: tuple[Town, Tools, Request]) -> None:
    town, tools, request = inside
    town.vault.write("oms/media/source", {"ak": "alone"})
    with pytest.raises(KeysUnfit):
        read_body(tools, request)
    [(_, opened), (last, closed)] = told(tools)
    assert (last, closed) == ("vault closed", {**opened, SOURCE: 2, DESTINATION: 1, "token given back": True})


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ak": "", "sk": "S"}, "has no key ak"),
        ({"ak": "A", "sk": "S", "security_token": "T"}, "temporary access key"),
        ({"ak": "two words", "sk": "S"}, "_ak holds blanks"),
    ],
)
def test_keys_that_oms_would_refuse_are_named_and_not_sent(
    inside: tuple[Town, Tools, Request], values: dict[str, str], words: str, side: str
) -> None:
    town, tools, request = inside
    town.vault.write(f"oms/media/{side}", values)
    with pytest.raises(KeysUnfit) as unfit:
        read_body(tools, request)
    trouble = unfit.value.trouble
    assert words in trouble.meaning
    assert "Nothing was started." in trouble.meaning
    assert trouble.next_step.endswith("Then press Retry.")


def test_a_source_that_needs_no_key_has_none_read(inside: tuple[Town, Tools, Request]) -> None:
    _, tools, request = inside
    body = read_body(tools, replace(request, plan=replace(request.plan, source_path=None)))
    assert body.closed == {DESTINATION: 1, "token given back": True}
    assert json.loads(body.content.reveal()) == {"dst_ak": ow.DESTINATION_AK, "dst_sk": ow.DESTINATION_SK}


def test_a_standing_token_is_no_login_that_was_given_back(inside: tuple[Town, Tools, Request]) -> None:
    town, tools, request = inside
    standing = town.vault.as_root().auth.token.create(policies=["bot"], ttl="10m")["auth"]
    tools = replace(tools, vault=Vault(town.vault.url, VaultToken(Secret(standing["client_token"]))))
    assert read_body(tools, request).closed["token given back"] is False
    assert [detail for _, detail in told(tools)] == [{"accessor": standing["accessor"], "token": "standing token"}]


def test_a_read_that_fails_is_told_as_far_as_it_came(inside: tuple[Town, Tools, Request]) -> None:
    town, tools, request = inside
    town.vault.as_root().secrets.kv.v2.delete_metadata_and_all_versions("oms/media/destination", mount_point="secret")
    with pytest.raises(VaultFault, match="nothing at"):
        read_body(tools, request)
    [(_, opened), (last, closed)] = told(tools)
    assert (last, closed) == ("vault closed", {**opened, SOURCE: 1, "token given back": True})


def test_a_login_that_was_not_given_back_is_told_as_such(
    inside: tuple[Town, Tools, Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    town, tools, request = inside
    read = ReleaseSession.read

    def read_and_seal(session: ReleaseSession, mount: str, path: str) -> Any:
        found = read(session, mount, path)
        if path.endswith("destination"):
            town.vault.seal()
        return found

    monkeypatch.setattr(ReleaseSession, "read", read_and_seal)
    assert read_body(tools, request).closed["token given back"] is False


def test_the_end_of_a_line_in_vault_is_no_part_of_a_key(inside: tuple[Town, Tools, Request]) -> None:
    town, tools, request = inside
    clean = read_body(tools, request).content
    for path in ("oms/media/source", "oms/media/destination"):
        kv = town.vault.as_root().secrets.kv.v2
        kept = kv.read_secret_version(path, mount_point="secret", raise_on_deleted_version=True)["data"]["data"]
        town.vault.write(path, {name: f"{value}\n" for name, value in kept.items()})
    assert read_body(tools, request).content == clean
