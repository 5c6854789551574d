"""Reading error answers: every shape of body, one short line for the message, and no keys in any field."""

from __future__ import annotations

import json

import pytest

from bot.huawei.error_answer import MAX_MESSAGE_CHARACTERS, clean_message, read_answer
from bot.huawei.errors import Answer
from bot.redaction import Secret
from bot.sandbox.huawei.credentials import ACCESS_KEY, SECRET_KEY, SOURCE_SK
from tests.support.documented_messages import MESSAGES


def test_the_request_id_is_read_from_headers_or_body_and_holds_only_safe_characters() -> None:
    in_body = b'{"error_code": "OMS.0064", "error_msg": "x", "request_id": "in-the-body"}'
    for headers, expected in (
        ({"X-Request-Id": "abc", "X-IAM-Trace-Id": "trace"}, "abc"),
        ({"X-IAM-Trace-Id": "trace"}, "trace"),
        ({}, "in-the-body"),
        ({"X-Request-Id": "<!channel> `a`"}, "channela"),
        ({"X-Request-Id": "x" * 65}, "x" * 64),
        ({"X-Request-Id": "<>"}, None),
    ):
        assert read_answer(400, headers, in_body, ()).huawei_request_id == expected


def test_the_message_is_one_short_line_without_keys() -> None:
    key = "HST3EXAMPLE0000000"
    for message in (f"{'x' * 588} ak:{key}", f"{'x' * 700}\n"):
        answer = read_answer(400, {}, json.dumps({"error_code": "OMS.0064", "error_msg": message}).encode(), ())
        assert len(answer.message) == 600
        assert key[:6] not in answer.message
        assert "\n" not in answer.message
    assert read_answer(400, {}, b'{"error_code": "OMS.0064", "error_msg": "a\\nb"}', ()).message == "a b"


def test_a_key_is_masked_before_the_text_is_cut_at_any_position() -> None:
    of_the_bot = (Secret(SECRET_KEY), Secret(ACCESS_KEY))
    for before in range(MAX_MESSAGE_CHARACTERS - len(SECRET_KEY) - 8, MAX_MESSAGE_CHARACTERS + 2):
        text = "x" * before + " " + SECRET_KEY
        for body in ({"error_code": "OMS.0061", "error_msg": text, "error_detail": text}, {"message": text}):
            answer = read_answer(400, {}, json.dumps(body).encode(), of_the_bot)
            for shown in (answer.message, answer.detail):
                assert set(shown) <= set("x [hidden]")
                assert len(shown) <= MAX_MESSAGE_CHARACTERS


def test_no_field_of_an_answer_holds_an_echoed_key() -> None:
    for key in (SECRET_KEY[:40], ACCESS_KEY):
        body = {"error_code": key, "error_msg": f"wrong: {key}", "error_detail": key, "request_id": key}
        for headers in ({}, {"X-Request-Id": key}, {"X-Request-Id": f"{key}+{'0' * 9_000}"}):
            answer = read_answer(400, headers, json.dumps(body).encode(), (Secret(key),))
            assert answer == Answer(400, "HTTP 400", "wrong: [hidden]", "[hidden]", None)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error_code": "OMS.0064", "error_msg": "Invalid.", "error_detail": "field x"}, "OMS.0064", "Invalid."),
        (
            {"error_code": "APIGW.0301", "error_msg": "ak:HST3AAAABBBB,err", "request_id": "r"},
            "APIG.0301",
            "ak:[hidden],err",
        ),
        ({"error": {"code": 401, "message": "wrong", "title": "Unauthorized"}}, "HTTP 400", "wrong"),
        ({"errorCode": "IAM.0062", "errorMsg": "password"}, "IAM.0062", "password"),
        ({"code": "X.1", "message": "m"}, "X.1", "m"),
        ({"something": "else"}, "HTTP 400", ""),
        ([1, 2], "HTTP 400", ""),
        (json.loads('{"in":' * 900 + '{"code":"X.1"}' + "}" * 900), "HTTP 400", ""),
    ],
)
def test_every_shape_of_error_body_is_read(body: object, code: str, message: str) -> None:
    answer = read_answer(400, {}, json.dumps(body).encode(), ())
    assert (answer.code, answer.message) == (code, message)


@pytest.mark.parametrize("text", MESSAGES)
def test_a_documented_message_is_shown_whole_in_an_answer_to_any_call(text: str) -> None:
    secrets = (Secret(ACCESS_KEY), Secret(SECRET_KEY))
    for names in (("error_code", "error_msg"), ("errorCode", "errorMsg"), ("code", "message")):
        for body in (
            dict(zip(names, ("OMS.0064", text), strict=True)),
            {"error": dict(zip(names, (401, text), strict=True))},
        ):
            found = read_answer(400, {}, json.dumps(body | {"error_detail": text}).encode(), secrets)
            assert found.message == text
    assert clean_message(text) == text


@pytest.mark.parametrize("body", [b"<html><b>Bad</b> gateway</html>", b"Bad gateway", b'"Bad gateway"', b"\xff", b""])
def test_nothing_is_shown_of_a_body_that_is_no_documented_error(body: bytes) -> None:
    for in_body in ((), (Secret(SOURCE_SK),)):
        assert read_answer(502, {}, body, (), in_body) == Answer(502, "HTTP 502", "", "", None)
