"""Reads the error answers of OMS, the API gateway and IAM, without the keys that they may repeat. Pure.

What a code means is left to `error_catalogue`, and finding parts of keys to `echo`.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping, Sequence

from bot.huawei.echo import repeats_part_of
from bot.huawei.error_catalogue import CATALOGUE
from bot.huawei.errors import Answer
from bot.redaction import Secret, mask, scrub, visible

MAX_MESSAGE_CHARACTERS = 600
MAX_REQUEST_ID_CHARACTERS = 64
# A text is cut to this before keys are searched, and to its shown length after that: half a key is not recognized.
MAX_READ_CHARACTERS = 8_192
_KEY_CHARACTERS = string.ascii_letters + string.digits + "+/=_-%\\"


def read_answer(
    http_status: int,
    headers: Mapping[str, str],
    body: bytes,
    in_headers: Sequence[Secret] = (),
    in_body: Sequence[Secret] = (),
) -> Answer:
    """Reads an error answer of OMS, the API gateway or IAM. Nothing is shown of a body of another shape. Never raises.

    Arguments:
        headers: a mapping that ignores the case of its keys.
        in_headers: the secrets of the bot's identity, which were sent in headers or used to sign.
        in_body: the keys or the password in the body of the call. If a part of one occurs in the answer, in any
            encoding, nothing of its text is returned.
    """
    fields = _error_fields(_parsed(body))
    code, message, detail = (_shortened(fields.get(name, "")) for name in ("code", "message", "detail"))
    request_id = _shortened(_id_in_headers(headers) or fields.get("request_id", ""))
    known_code = clean_code(code) or f"HTTP {http_status}"
    if in_body:
        message, detail = mask(message, in_headers), mask(detail, in_headers)
        if repeats_part_of(" ".join((code, message, detail, request_id)), (*in_body, *in_headers)):
            code = known_code if known_code in CATALOGUE else f"HTTP {http_status}"
            return Answer(http_status, code, "", "", None, repeats_key=True)
    else:
        known_code = clean_code(scrub(code, in_headers)) or f"HTTP {http_status}"
        message, detail = scrub(message, in_headers), scrub(detail, in_headers)
    return Answer(
        http_status,
        known_code,
        visible(message)[:MAX_MESSAGE_CHARACTERS],
        visible(detail)[:MAX_MESSAGE_CHARACTERS],
        _clean_request_id(request_id, in_headers),
    )


def request_id_of(headers: Mapping[str, str], secrets: Sequence[Secret]) -> str | None:
    """Huawei Cloud's request id in the headers of an answer; None if there is none, or it repeats part of a secret."""
    return _clean_request_id(_shortened(_id_in_headers(headers)), secrets)


def clean_message(text: str) -> str:
    """The error message of a task group as one line of limited length, without what looks like a key."""
    return visible(scrub(_shortened(text)))[:MAX_MESSAGE_CHARACTERS]


def clean_code(code: str) -> str:
    """The error code, with `APIGW.` as `APIG.`. Empty if the text is no code, or only an HTTP status."""
    if not re.fullmatch(r"(?!\d{3}$)[A-Za-z0-9_.\-]{1,40}", code, re.ASCII):
        return ""
    return re.sub(r"^APIGW?\.", "APIG.", code)


def _id_in_headers(headers: Mapping[str, str]) -> str:
    return headers.get("X-Request-Id") or headers.get("X-IAM-Trace-Id") or ""


def _clean_request_id(text: str, secrets: Sequence[Secret]) -> str | None:
    if repeats_part_of(text, secrets) or scrub(text) != text:
        return None
    return re.sub(r"[^A-Za-z0-9_.\-]", "", text)[:MAX_REQUEST_ID_CHARACTERS] or None


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _error_fields(parsed: object, depth: int = 0) -> dict[str, str]:
    """The fields of an error body, found in the way of the official SDK, which also looks into nested objects."""
    if not isinstance(parsed, dict) or depth > 3:
        return {}
    for code, message in (("error_code", "error_msg"), ("errorCode", "errorMsg"), ("code", "message")):
        if code in parsed or message in parsed:
            return {
                "code": _as_text(parsed.get(code)),
                "message": _as_text(parsed.get(message)),
                "detail": _as_text(parsed.get("error_detail")),
                "request_id": _as_text(parsed.get("request_id")),
            }
    for value in parsed.values():
        fields = _error_fields(value, depth + 1)
        if fields:
            return fields
    return {}


def _as_text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _shortened(text: str) -> str:
    """The text, cut to MAX_READ_CHARACTERS and then to the end of the last whole word, so that no key is cut in two."""
    return text if len(text) <= MAX_READ_CHARACTERS else text[:MAX_READ_CHARACTERS].rstrip(_KEY_CHARACTERS)
