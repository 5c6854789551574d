"""Secrets are hidden when printed or serialised, and removed from texts that come from elsewhere."""

from __future__ import annotations

import copy
import html
import json
import pickle
import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel

from bot.huawei.error_catalogue import CATALOGUE, Meaning
from bot.redaction import FileSecret, Secret, UnreadableSecret, scrub, visible

VALUE = "correct-horse-battery"
# The names of keys as Huawei Cloud and other services write them, and in ordinary text.
KEY_NAMES = """
    ak, sk, AK, SK, src_ak, src_sk, dst_ak, dst_sk, srcAk, srcSk, dstAK, dstSK, SrcAk, SRC_AK, SRCAK, srcak, akId,
    access_key, secret_key, access-key, accessKey, accessKeyId, AccessKeyId, AWSAccessKeyId, OSSAccessKeyId,
    InvalidAccessKeyId, aws_access_key_id, aws_secret_access_key, SecretAccessKey, secretKey, SecretKey, secretId,
    AccountKey, security_token, SecurityToken, access key, Access Key ID, the secret key, Secret Access Key,
    security token
    """
# How a key can follow its name in a text.
CONTEXTS = (
    "{name}={key}",
    "{name}: {key} is not valid",
    "invalid {name} '{key}'",
    "{name} is {key}.",
    '{{"{name}":"{key}"}}',
    '{{\\"{name}\\": \\"{key}\\"}}',
    '{{"{name}":\n                                "{key}"}}',
    "<{name}>{key}</{name}>",
    "&lt;{name}&gt;{key}&lt;/{name}&gt;",
    "%22{name}%22%3A%22{key}%22",
    "{name},{name}={key}",
)
ACCESS_KEYS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=20, max_size=20)
SECRET_KEYS = st.text(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", min_size=40, max_size=40
).filter(lambda key: key[0].isalnum())


def test_a_secret_is_not_printed_or_serialised() -> None:
    secret = Secret(VALUE)

    class Holder(BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        inside: Secret

    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>30}", f"{[secret]} { ({'a': secret}) }"]
    shown += [Holder(inside=secret).model_dump_json(), repr(Holder(inside=secret))]
    assert all(VALUE not in text for text in shown)
    for write in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            write(secret)
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == VALUE
    with pytest.raises(TypeError):
        hash(secret)


def test_a_secret_from_a_file_is_hidden_and_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f" {VALUE}\n")
    secret = FileSecret("VAULT_TOKEN_FILE", str(path))
    path.write_text("another")
    assert (secret.reveal(), secret.current().reveal()) == (VALUE, "another")
    assert secret.current().current() == Secret("another")
    assert VALUE not in repr(secret)
    for write in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            write(secret)
    assert Secret(VALUE).current() == secret, "any other secret stays the same"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "VAULT_TOKEN_FILE can't be read: No such file or directory"),
        (b"\xff\xfe", "VAULT_TOKEN_FILE can't be read: it is not text"),
        (b" \n", "VAULT_TOKEN_FILE is the path of an empty file"),
    ],
)
def test_a_file_without_a_secret_is_named_by_its_variable(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(VALUE)
    secret = FileSecret("VAULT_TOKEN_FILE", str(path))
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableSecret) as raised:
        secret.current()
    assert str(raised.value) == message


def test_given_secrets_keys_and_tokens_are_masked_in_a_text() -> None:
    for text in (
        f"body {VALUE} end",
        "Get secretKey failed,ak:HST3EXAMPLE00000,err:ak not exist",
        "token hvs.CAESIJabcdefghijklmnop",
        "token s.CAESIJabcdefghijklmnop",
        "xoxb-123456789012-abcdef",
        "https://hooks.slack.com/commands/T0/123/abc",
        "Signature=0123456789abcdef0123",
    ):
        cleaned = scrub(text, [Secret(VALUE)])
        assert "[hidden]" in cleaned
        for leak in (VALUE, "HST3EXAMPLE00000", "CAESIJ", "abcdef", "/T0/123"):
            assert leak not in cleaned


@pytest.mark.parametrize(
    "text",
    [
        '{"ak":"HST3EXAMPLE00000"}',
        '{\\"access_key_id\\": \\"HST3EXAMPLE00000\\"}',
        "AK HST3EXAMPLE00000ABCD is not known",
        "accessKeyId=HST3EXAMPLE00000",
        "Access Key ID: HST3EXAMPLE00000",
    ],
)
def test_an_echoed_access_key_is_masked_in_any_quotes(text: str) -> None:
    assert "HST3" not in scrub(text)


@pytest.mark.parametrize(
    "before",
    [
        "secret: ",
        "Bearer ",
        "Authorization: Bearer ",
        "sig=",
        "signature: ",
        "api_key=",
        "apiKey: ",
        "password=",
        "token ",
        "pwd=",
        "PWD: ",
        "db_pass: ",
        "pass: ",
        "passphrase: ",
        "Authorization: Basic ",
        '"authorization":"Basic ',
        "private_key_id: ",
        "privateKeyId=",
        "encryption_key=",
        "encryptionKey: ",
        "appkey=",
        "app-key: ",
        "credential ",
        "credentials: ",
    ],
)
def test_a_key_in_the_reason_of_a_failed_group_is_masked(before: str) -> None:
    for key in ("0123456789abcdef01234567", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.dBjftJeZ4CVP", "qX7vKz2TmRb9WnYd"):
        cleaned = scrub(f"access failed ({before}{key})")
        assert cleaned == f"access failed ({before}[hidden])"


@pytest.mark.parametrize("name", ["pass: ", "passphrase: ", "pwd="])
def test_a_password_of_words_and_digits_is_masked_after_its_name(name: str) -> None:
    for password in ("hunter2hunter2", "correcthorse9"):
        assert scrub(f"access failed ({name}{password})") == f"access failed ({name}[hidden])"


def test_short_credentials_of_basic_authentication_are_masked() -> None:
    assert scrub("sent Authorization: Basic dTpw to host") == "sent Authorization: Basic [hidden] to host"


@given(SECRET_KEYS)
def test_a_random_key_is_masked_without_a_name(key: str) -> None:
    assume(sum(map(str.isdigit, key)) >= 3 and not re.search("[A-Z]{5}|[a-z]{5}|[0-9]{5}", key))
    assert scrub(f"the source answered {key}.") == "the source answered [hidden]."


@pytest.mark.parametrize(
    "text",
    [
        "photos/2024/IMG_20240311_184522-Edited-HDR-Panorama.jpg",
        "backup/2019-01-01T00-00-00Z/Part-00017-of-00350.Snappy.parquet",
        "s3://photos-prod-us-east-1/CustomerUploads/2024/Q3/Invoice_No_20240311.PDF",
        "photos-prod.s3.us-east-1.amazonaws.com",
        "the object docs/ISO9001/Handbuch_V2_Kapitel_03_DE.docx at 2026-11-25T01:38:33.120Z",
        "DSC00012 MVI0034 GOPR0987 VID20240311184522 Screenshot20240311At184522",
        "/opt/bot/lib/python3.11/site-packages/urllib3/connectionpool.py",
        "00878453-3402-4a86-9e2a-5d5217cd35b2 0123456789abcdef0123456789abcdef",
    ],
)
def test_names_of_objects_and_hosts_and_times_are_not_masked(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "the ak does not exist",
        "access key authentication failed",
        "AK UNKNOWN",
        "oak tree",
        "Invalid AK/SK: SignatureDoesNotMatch",
        "AK: InvalidAccessKeyId",
        "Access Key: does-not-exist",
        "verify aksk signature fail",
        "calc aksk signature fail:signature expired, signature time:20261125T013833Z",
        "AK access failed to reach the limit,forbidden",
        "Check the ak, sk. 00878453-3402-4a86-9e2a-5d5217cd35b2 failed",
        "task: 0087845334024a869e2a5d5217cd35b2",
        "risk=0123456789abcdef, mask=0123456789ABCDEF",
        "bucket my-ak-bucket-production-2024 in photos/sk/2024-01-01-images",
        "request id 7f3c9a8b0123456789abcdef01234567",
        "basic authentication is not supported",
        "Basic information of the bucket photos-prod-us-east-1 was read at 2026-11-25T01:38:33.120Z",
        "the credentials of the source bucket photos-prod are wrong",
        "credential expired at 2026-11-25T01:38:33Z on photos-prod.s3.us-east-1.amazonaws.com",
        "bypass 0123456789abcdef0123456789abcdef compass=0123456789abcdef",
        "pass 2 of 3 of photos/2024/IMG_20240311_184522.jpg",
        "checks pass: photos/2024/backup",
        "the app key is missing; the encryption key was not found",
        "secret/oms/media/source v7 (ak, sk), secret/oms/media/destination v3 (ak, sk)",
    ],
)
def test_ordinary_text_about_keys_is_not_masked(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("meaning", CATALOGUE.values(), ids=lambda meaning: meaning.code)
def test_the_texts_of_the_error_catalogue_are_not_masked(meaning: Meaning) -> None:
    for text in (meaning.code, meaning.sentence, meaning.remedy):
        assert scrub(f"{text} {text}") == f"{text} {text}"


@given(
    st.sampled_from(KEY_NAMES.strip().replace("\n   ", "").split(", ")),
    st.sampled_from(CONTEXTS),
    ACCESS_KEYS | SECRET_KEYS,
)
def test_an_unknown_key_is_masked_after_its_name(name: str, context: str, key: str) -> None:
    cleaned = scrub(context.format(name=name, key=key))
    assert key not in cleaned
    assert key[:8] not in cleaned.replace(name, "")
    assert "[hidden]" in cleaned


@given(st.uuids().map(str), st.sampled_from(["{}", "group {}", "task: {}", "request_id={}", "AK/SK of {}"]))
def test_a_uuid_is_not_masked(uuid: str, context: str) -> None:
    text = context.format(uuid)
    assert scrub(text) == text


@pytest.mark.parametrize(
    "key", ["HPUA4QWERTYUIOPASDFG", "LTAI5tExampleKey0123", "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE"]
)
def test_an_access_key_without_a_name_is_masked_by_its_format(key: str) -> None:
    assert scrub(f"user {key} not found") == "user [hidden] not found"


@pytest.mark.parametrize("repeated", ["ak ", "ak%20", "ak&", "access key ", "sk:a-", "-----BEGIN A-----", 'ak(" '])
def test_no_text_takes_long_to_scrub(repeated: str) -> None:
    began = time.process_time()
    scrub(repeated * (8_192 // len(repeated)))
    assert time.process_time() - began < 1


def test_characters_that_a_database_refuses_are_replaced() -> None:
    assert visible("a\x00b \ud800 c\nd é键🙂") == "a b   c d é键🙂"
    assert visible("0087\u200b8453\u00ad-34\u202e02\ufeff") == "00878453-3402", "characters without width are removed"


def test_a_given_secret_is_masked_in_every_encoding() -> None:
    value = 'sécret/"key"\n+word'
    secret = Secret(value)
    encodings = [
        value,
        json.dumps(value),
        json.dumps(value, ensure_ascii=False),
        quote(value, safe=""),
        quote(value, safe="").lower(),
        json.dumps(value).replace("/", "\\/"),
        html.escape(value),
    ]
    for encoded in encodings:
        assert scrub(f"begin {encoded} end", [secret]).replace('"', "") == "begin [hidden] end"


def test_a_part_of_a_long_secret_is_masked() -> None:
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
    account = Secret(json.dumps({"type": "service_account", "private_key": f"-----BEGIN-----\n{line}\n{line[::-1]}\n"}))
    connection_string = Secret(f"AccountName=photos;AccountKey={line}/+==;EndpointSuffix=core.windows.net")
    for secret in (account, connection_string):
        assert line[:20] not in scrub(f"invalid key: {line} was given", [secret])
    assert line[::-1] not in scrub(f"a\n{line[::-1]}", [account])
    key = f"{line}/+a"
    encoded = quote(key, safe="")
    assert scrub(f"key {encoded} end", [Secret(f"AccountName=photos;AccountKey={key};")]) == "key [hidden] end"


def test_a_secret_that_contains_another_is_masked_whole_and_four_characters_are_enough() -> None:
    for secrets in ([Secret("abcd"), Secret("abcd-efgh")], [Secret("abcd-efgh"), Secret("abcd")]):
        assert scrub("x abcd-efgh abcd abc y", secrets) == "x [hidden] [hidden] abc y"
