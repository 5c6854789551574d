"""An answer to START or RETRY that repeats part of a sent key, in any writing, shows nothing of its text."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.huawei.echo import repeats_part_of
from bot.huawei.error_answer import read_answer
from bot.huawei.error_catalogue import CATALOGUE
from bot.huawei.errors import Answer
from bot.redaction import Secret
from bot.sandbox.huawei.credentials import (
    AZURE_CONNECTION_STRING,
    CDN_KEY,
    DESTINATION_AK,
    DESTINATION_SK,
    GOOGLE_JSON,
    SOURCE_AK,
    SOURCE_SK,
)
from tests.support.documented_messages import MESSAGES
from tests.support.leaks import SENT_KEYS
from tests.support.writings import WRITINGS

SENT = tuple(
    map(Secret, (SOURCE_AK, SOURCE_SK, DESTINATION_AK, DESTINATION_SK, CDN_KEY, AZURE_CONNECTION_STRING, GOOGLE_JSON))
)
KEY = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", min_size=40, max_size=40).filter(
    lambda key: sum(map(str.isalnum, key)) > 24
)


def read(body: object, headers: dict[str, str] | None = None) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(400, headers or {}, content, in_body=SENT)


@pytest.mark.parametrize("write", WRITINGS.values(), ids=list(WRITINGS))
@pytest.mark.parametrize("key", SENT_KEYS.values(), ids=list(SENT_KEYS))
def test_a_key_is_found_in_every_writing_and_field(key: str, write: Callable[[str], str]) -> None:
    text = f"The request was rejected: {write(key)} is wrong."
    withheld = Answer(400, "OMS.1014", "", "", None, repeats_key=True)
    for body in (
        {"error_code": "OMS.1014", "error_msg": text},
        {"error_code": "OMS.1014", "error_msg": "Invalid.", "error_detail": text},
        {"error_code": "OMS.1014", "error_msg": "Invalid.", "request_id": text},
    ):
        assert read(body) == withheld
    header = {"X-Request-Id": write(key).replace("\n", "")}
    assert read({"error_code": "OMS.1014", "error_msg": "Invalid."}, header) == withheld
    assert read({"error_code": write(key), "error_msg": "Invalid."}) == Answer(
        400, "HTTP 400", "", "", None, repeats_key=True
    )


def test_a_key_that_is_split_over_the_fields_is_found() -> None:
    for size in range(3, 12):
        pieces = (SOURCE_SK[:size], SOURCE_SK[size : 2 * size], SOURCE_SK[2 * size : 3 * size])
        code, message, request_id = pieces
        answer = read({"error_code": code, "error_msg": message, "request_id": request_id})
        assert answer == Answer(400, "HTTP 400", "", "", None, repeats_key=True)


@given(KEY, st.sampled_from(sorted(WRITINGS)), st.text("abc =:/\n", max_size=30))
def test_a_random_key_is_found_behind_any_text(key: str, writing: str, before: str) -> None:
    assert repeats_part_of(before + WRITINGS[writing](key), [Secret(key)])


@pytest.mark.parametrize(
    "text", [*MESSAGES, *(f"{meaning.code} {meaning.sentence} {meaning.remedy}" for meaning in CATALOGUE.values())]
)
def test_a_documented_message_is_shown_whole(text: str) -> None:
    answer = read({"error_code": "OMS.0064", "error_msg": text, "error_detail": text, "request_id": "7f3c9a8b0123"})
    assert answer == Answer(400, "OMS.0064", text, text, "7f3c9a8b0123")


def test_reading_a_hostile_text_takes_no_long_time() -> None:
    hostile = [
        "%25" * 2_730,
        "&amp;" * 1_638,
        "\\u005c" * 1_365,
        base64.b64encode(base64.b64encode(b"x" * 4_600)).decode()[:8_192],
        "41" * 4_096,
        "QUFB" * 2_048,
    ]
    assert not any(repeats_part_of(text, SENT) for text in hostile)
