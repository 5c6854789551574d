"""A secret is not given away by accident."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
from urllib.parse import quote

import pytest
from pydantic import BaseModel

from bot.redaction import LogFilter, Secret, scrub

VALUE = "correct-horse-battery"


def test_no_way_of_writing_a_secret_down_gives_it_away() -> None:
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


def test_text_from_elsewhere_is_scrubbed() -> None:
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
def test_an_echoed_access_key_is_hidden_however_it_is_quoted(text: str) -> None:
    assert "HST3" not in scrub(text)


@pytest.mark.parametrize(
    "text", ["the ak does not exist", "access key authentication failed", "AK UNKNOWN", "oak tree"]
)
def test_words_about_keys_stay(text: str) -> None:
    assert scrub(text) == text


def test_a_given_secret_is_hidden_however_it_is_written() -> None:
    value = 'sécret/"key"\n+word'
    secret = Secret(value)
    shapes = [
        value,
        json.dumps(value),
        json.dumps(value, ensure_ascii=False),
        quote(value, safe=""),
        quote(value, safe="").lower(),
    ]
    for shape in shapes:
        assert scrub(f"begin {shape} end", [secret]).replace('"', "") == "begin [hidden] end"


def test_a_piece_of_a_long_secret_is_hidden_too() -> None:
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
    account = Secret(json.dumps({"type": "service_account", "private_key": f"-----BEGIN-----\n{line}\n{line[::-1]}\n"}))
    chain = Secret(f"AccountName=photos;AccountKey={line}/+==;EndpointSuffix=core.windows.net")
    for secret in (account, chain):
        assert line[:20] not in scrub(f"invalid key: {line} was given", [secret])
    assert line[::-1] not in scrub(f"a\n{line[::-1]}", [account])
    key = f"{line}/+a"
    encoded = quote(key, safe="")
    assert scrub(f"key {encoded} end", [Secret(f"AccountName=photos;AccountKey={key};")]) == "key [hidden] end"


def test_the_longer_of_two_secrets_leaves_nothing_of_itself_and_four_characters_are_enough() -> None:
    for secrets in ([Secret("abcd"), Secret("abcd-efgh")], [Secret("abcd-efgh"), Secret("abcd")]):
        assert scrub("x abcd-efgh abcd abc y", secrets) == "x [hidden] [hidden] abc y"


def test_a_log_record_is_scrubbed_with_its_traceback() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(LogFilter())
    logger = logging.getLogger("test.redaction")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        raise ValueError("token hvs.CAESIJabcdefghijklmnop")
    except ValueError:
        logger.exception("with %s", "xoxb-123456789012-abcdef")
    written_before = logging.makeLogRecord({"msg": "", "exc_text": "token hvs.CAESIJabcdefghijklmnop"})
    handler.handle(written_before)
    logger.removeHandler(handler)
    assert "CAESIJ" not in stream.getvalue()
    assert "123456789012" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()
