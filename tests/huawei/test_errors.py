"""What an error answer says is one short line that holds no key, and an id that can be nothing else."""

from __future__ import annotations

import json

from bot.huawei.errors import MESSAGE_CHARACTERS, READ_CHARACTERS, Answer, read_answer
from bot.redaction import Secret
from bot.sandbox import oms_state as ow


def test_the_id_of_a_request_is_found_wherever_it_is_and_holds_nothing_else() -> None:
    in_body = b'{"error_code": "OMS.0064", "error_msg": "x", "request_id": "in-the-body"}'
    for headers, found in (
        ({"X-Request-Id": "abc", "X-IAM-Trace-Id": "trace"}, "abc"),
        ({"X-IAM-Trace-Id": "trace"}, "trace"),
        ({}, "in-the-body"),
        ({"X-Request-Id": "<!channel> `a`"}, "channela"),
        ({"X-Request-Id": "x" * 65}, "x" * 64),
        ({"X-Request-Id": "<>"}, None),
    ):
        assert read_answer(400, headers, in_body, ()).huawei_request_id == found


def test_the_words_of_an_error_are_one_short_line_without_keys() -> None:
    key = "HST3EXAMPLE0000000"
    for message in (f"{'x' * 588} ak:{key}", f"{'x' * 700}\n"):
        answer = read_answer(400, {}, json.dumps({"error_code": "OMS.0064", "error_msg": message}).encode(), ())
        assert len(answer.message) == 600
        assert not [part for part in (key[:6], "\n") if part in answer.message]
    assert read_answer(400, {}, b'{"error_code": "OMS.0064", "error_msg": "a\\nb"}', ()).message == "a b"
    assert len(read_answer(502, {}, b"word " * 10_000, ()).message) == 600


def test_a_key_is_hidden_before_a_text_is_cut_wherever_it_stands() -> None:
    sent = (Secret(ow.SOURCE_SK), Secret(ow.ACCESS_KEY))
    for before in range(MESSAGE_CHARACTERS - len(ow.SOURCE_SK) - 8, MESSAGE_CHARACTERS + 2):
        words = "x" * before + " " + ow.SOURCE_SK
        for body in ({"error_code": "OMS.0061", "error_msg": words, "error_detail": words}, {"message": words}):
            answer = read_answer(400, {}, json.dumps(body).encode(), sent)
            for said in (answer.message, answer.detail):
                assert set(said) <= set("x [hidden]")
                assert len(said) <= MESSAGE_CHARACTERS
    page = f"<style>{'s' * (READ_CHARACTERS - 40)}</style><p>{ow.SOURCE_SK}</p>".encode()
    assert read_answer(502, {}, page, sent).message == ""


def test_no_field_of_an_answer_gives_a_key_back() -> None:
    for key in (ow.SOURCE_SK[:40], ow.ACCESS_KEY):
        body = {"error_code": key, "error_msg": f"wrong: {key}", "error_detail": key, "request_id": key}
        for headers in ({}, {"X-Request-Id": key}, {"X-Request-Id": f"{key}+{'0' * 9_000}"}):
            answer = read_answer(400, headers, json.dumps(body).encode(), (Secret(key),))
            assert answer == Answer(400, "HTTP 400", "wrong: [hidden]", "[hidden]", None)


def test_an_unknown_key_in_a_page_is_known_by_its_tag() -> None:
    page = f"<Error><SecretAccessKey>{ow.SOURCE_SK}</SecretAccessKey><b>is wrong</b></Error>".encode()
    assert read_answer(403, {}, page, ()).message == "[hidden] is wrong"
