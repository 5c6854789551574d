"""For each Vault login the audit records when it was made, what was read with it, and whether it was given back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.domain.request import Request
from bot.jobs.ask.preflight import check_keys, find_group, plan_for
from bot.jobs.context import Context
from bot.jobs.send.keys import KeysUnfit, read_body
from bot.redaction import Secret
from bot.sandbox.huawei.credentials import DESTINATION_AK, DESTINATION_SK, GOOGLE_JSON
from bot.sandbox.huawei.example_groups import SURVEY_SCANS
from bot.sandbox.system import Sandbox
from bot.store.audit import rows
from bot.vault.client import Vault
from bot.vault.errors import VaultError
from bot.vault.login import VaultToken
from bot.vault.session import VaultSession
from tests.support.in_process import create_request

SOURCE, DESTINATION = "secret/oms/media/source", "secret/oms/media/destination"


@pytest.fixture
def created(inside: tuple[Sandbox, Context]) -> tuple[Sandbox, Context, Request]:
    return *inside, create_request(*inside)[0]


def vault_events(context: Context) -> list[tuple[str, dict[str, Any]]]:
    with context.store.read() as connection:
        return [(link.event, json.loads(link.detail)) for link in rows(connection) if link.event.startswith("vault")]


def test_the_caller_records_how_the_login_ended(
    created: tuple[Sandbox, Context, Request],
) -> None:
    _, context, request = created
    body = read_body(context, request)
    [(first, _)] = vault_events(context)
    assert first == "vault.opened"
    assert body.closed == {SOURCE: 1, DESTINATION: 1, "token given back": True}


def test_a_token_that_is_revoked_between_login_and_read_is_replaced(
    created: tuple[Sandbox, Context, Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context, request = created
    log_in, accessors = context.vault.open_release, list[str]()

    def log_in_and_revoke_the_first() -> VaultSession:
        session = log_in()
        accessors.append(session.accessor)
        if len(accessors) == 1:
            sandbox.vault.as_root().auth.token.revoke_accessor(session.accessor)
        return session

    monkeypatch.setattr(context.vault, "open_release", log_in_and_revoke_the_first)
    assert read_body(context, request).closed == {SOURCE: 1, DESTINATION: 1, "token given back": True}
    assert [event for event, _ in vault_events(context)] == ["vault.opened", "vault.closed", "vault.opened"]


def test_keys_that_cannot_work_are_recorded_with_their_versions(created: tuple[Sandbox, Context, Request]) -> None:
    sandbox, context, request = created
    sandbox.vault.write("oms/media/source", {"ak": "alone"})
    with pytest.raises(KeysUnfit):
        read_body(context, request)
    [(_, opened), (last, closed)] = vault_events(context)
    assert (last, closed) == ("vault.closed", {**opened, SOURCE: 2, DESTINATION: 1, "token given back": True})


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ak": "", "sk": "S"}, "is missing ak"),
        ({"ak": "A", "sk": "S", "security_token": "T"}, "temporary access key"),
        ({"ak": "two words", "sk": "S"}, "_ak contains spaces"),
    ],
)
def test_keys_that_oms_would_reject_are_named_and_not_sent(
    created: tuple[Sandbox, Context, Request], values: dict[str, str], words: str, side: str
) -> None:
    sandbox, context, request = created
    sandbox.vault.write(f"oms/media/{side}", values)
    with pytest.raises(KeysUnfit) as unfit:
        read_body(context, request)
    problem = unfit.value.problem
    assert words in problem.meaning
    assert "Nothing was started." in problem.meaning
    assert problem.next_step.endswith("Then press Retry.")


def test_no_key_is_read_for_a_source_that_needs_none(created: tuple[Sandbox, Context, Request]) -> None:
    _, context, request = created
    body = read_body(context, replace(request, plan=replace(request.plan, source_path=None)))
    assert body.closed == {DESTINATION: 1, "token given back": True}
    assert json.loads(body.content.reveal()) == {"dst_ak": DESTINATION_AK, "dst_sk": DESTINATION_SK}


def test_a_static_token_is_not_recorded_as_given_back(created: tuple[Sandbox, Context, Request]) -> None:
    sandbox, context, request = created
    main = sandbox.vault.as_root().auth.token.create(policies=["bot"], ttl="10m")["auth"]
    context = replace(context, vault=Vault(sandbox.vault.url, VaultToken(Secret(main["client_token"]))))
    assert read_body(context, request).closed["token given back"] is False
    assert [detail for _, detail in vault_events(context)] == [{"accessor": main["accessor"], "token": "static token"}]


def test_a_failed_read_is_recorded_with_the_keys_read_before_it(created: tuple[Sandbox, Context, Request]) -> None:
    sandbox, context, request = created
    sandbox.vault.as_root().secrets.kv.v2.delete_metadata_and_all_versions(
        "oms/media/destination", mount_point="secret"
    )
    with pytest.raises(VaultError, match="no secret at"):
        read_body(context, request)
    [(_, opened), (last, closed)] = vault_events(context)
    assert (last, closed) == ("vault.closed", {**opened, SOURCE: 1, "token given back": True})


def test_a_login_that_could_not_be_given_back_is_recorded_as_such(
    created: tuple[Sandbox, Context, Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context, request = created
    read = VaultSession.read

    def read_and_seal(session: VaultSession, mount: str, path: str) -> Any:
        found = read(session, mount, path)
        if path.endswith("destination"):
            sandbox.vault.seal()
        return found

    monkeypatch.setattr(VaultSession, "read", read_and_seal)
    assert read_body(context, request).closed["token given back"] is False


def test_a_newline_in_vault_is_not_part_of_a_key(created: tuple[Sandbox, Context, Request]) -> None:
    sandbox, context, request = created
    clean = read_body(context, request).content
    for path in ("oms/media/source", "oms/media/destination"):
        kv = sandbox.vault.as_root().secrets.kv.v2
        kept = kv.read_secret_version(path, mount_point="secret", raise_on_deleted_version=True)["data"]["data"]
        sandbox.vault.write(path, {name: f"{value}\n" for name, value in kept.items()})
    assert read_body(context, request).content == clean


def test_a_service_account_file_written_as_an_object_is_sent_as_its_json(
    inside: tuple[Sandbox, Context],
) -> None:
    sandbox, context = inside
    sandbox.vault.write("oms/media/source/google", {"json_auth_file": json.loads(GOOGLE_JSON)})
    found = find_group(context, ["media"], SURVEY_SCANS)
    plan = plan_for(context, found)
    [source, _] = check_keys(context, plan, found.group)
    assert (source.keys, source.objects) == (("json_auth_file",), ("json_auth_file",))
    request = replace(create_request(sandbox, context)[0], group=found.group, plan=plan)
    body = json.loads(read_body(context, request).content.reveal())
    assert json.loads(body["json_auth_file"]) == json.loads(GOOGLE_JSON)


def test_a_number_is_sent_as_text_and_another_kind_of_value_is_named(
    created: tuple[Sandbox, Context, Request],
) -> None:
    sandbox, context, request = created
    sandbox.vault.write("oms/media/source", {"ak": "A", "sk": 20261127})
    assert json.loads(read_body(context, request).content.reveal())["src_sk"] == "20261127"
    sandbox.vault.write("oms/media/source", {"ak": "A", "sk": ["S"]})
    with pytest.raises(KeysUnfit) as unfit:
        read_body(context, request)
    assert unfit.value.problem.meaning == (
        "The value of sk at secret/oms/media/source in Vault isn't text. Nothing was started."
    )
