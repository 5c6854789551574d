"""A secret is not given away by accident."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle

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


def test_text_from_elsewhere_is_scrubbed() -> None:
    for text in (
        f"body {VALUE} end",
        "Get secretKey failed,ak:HST3EXAMPLE00000,err:ak not exist",
        "token hvs.CAESIJabcdefghijklmnop",
        "xoxb-123456789012-abcdef",
        "https://hooks.slack.com/commands/T0/123/abc",
        "Signature=0123456789abcdef0123",
    ):
        cleaned = scrub(text, [Secret(VALUE)])
        assert "[hidden]" in cleaned
        for leak in (VALUE, "HST3EXAMPLE00000", "CAESIJ", "abcdef", "/T0/123"):
            assert leak not in cleaned


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
    logger.removeHandler(handler)
    assert "CAESIJ" not in stream.getvalue()
    assert "123456789012" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()
