"""What an error answer says is one short line that holds no key, and an id that can be nothing else."""

from __future__ import annotations

import json

from bot.oms.errors import read_answer


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
        assert read_answer(400, headers, in_body).huawei_request_id == found


def test_the_words_of_an_error_are_one_short_line_without_keys() -> None:
    key = "HST3EXAMPLE0000000"
    for message in (f"{'x' * 588} ak:{key}", f"{'x' * 700}\n"):
        answer = read_answer(400, {}, json.dumps({"error_code": "OMS.0064", "error_msg": message}).encode())
        assert len(answer.message) == 600
        assert not [part for part in (key[:6], "\n") if part in answer.message]
    assert read_answer(400, {}, b'{"error_code": "OMS.0064", "error_msg": "a\\nb"}').message == "a b"
    assert len(read_answer(502, {}, b"word " * 10_000).message) == 600
