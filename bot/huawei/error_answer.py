"""Reads the error answers of OMS, the API gateway and IAM, and removes the keys that they may echo. Pure.

What a code means is left to `error_catalogue`.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Mapping, Sequence

from bot.huawei.errors import Answer
from bot.redaction import Secret, scrub, visible

MAX_MESSAGE_CHARACTERS = 600
MAX_REQUEST_ID_CHARACTERS = 64
# A text is cut to this before keys are removed, and to its shown length after that: half a key is not recognized.
MAX_READ_CHARACTERS = 8_192
_KEY_CHARACTERS = string.ascii_letters + string.digits + "+/=_-%\\"


def read_answer(http_status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret]) -> Answer:
    """Reads an error answer of any shape: OMS, API gateway, IAM v3, camelCase, or no JSON at all. Never raises.

    Arguments:
        headers: a mapping that ignores the case of its keys.
        secrets: all secrets that were sent. The answer may echo them in any field.
    """
    code = message = detail = ""
    id_in_body: str | None = None
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        message = _page_text(body, secrets)
    else:
        fields = _error_fields(parsed)
        code, message, detail = fields.get("code", ""), fields.get("message", ""), fields.get("detail", "")
        id_in_body = fields.get("request_id")
    return Answer(
        http_status,
        clean_code(scrub(_shortened(code), secrets)) or f"HTTP {http_status}",
        clean_message(message, secrets),
        clean_message(detail, secrets),
        _clean_request_id(_id_in_headers(headers) or id_in_body, secrets),
    )


def request_id_of(headers: Mapping[str, str], secrets: Iterable[Secret]) -> str | None:
    """Huawei Cloud's request id in the headers of an answer. None if there is none, or if it holds a secret."""
    return _clean_request_id(_id_in_headers(headers), secrets)


def clean_message(text: str, secrets: Sequence[Secret] = ()) -> str:
    """An error message of Huawei Cloud as one line of limited length, without the keys that it echoes."""
    return visible(scrub(_shortened(text), secrets))[:MAX_MESSAGE_CHARACTERS]


def clean_code(code: str) -> str:
    """The error code, with `APIGW.` as `APIG.`. Empty if the text is no code, or only an HTTP status."""
    if not re.fullmatch(r"(?!\d{3}$)[A-Za-z0-9_.\-]{1,40}", code, re.ASCII):
        return ""
    return re.sub(r"^APIGW?\.", "APIG.", code)


def _id_in_headers(headers: Mapping[str, str]) -> str | None:
    return headers.get("X-Request-Id") or headers.get("X-IAM-Trace-Id")


def _clean_request_id(text: str | None, secrets: Iterable[Secret]) -> str | None:
    shortened = _shortened(text or "")
    if scrub(shortened, secrets) != shortened:
        return None
    return re.sub(r"[^A-Za-z0-9_.\-]", "", shortened)[:MAX_REQUEST_ID_CHARACTERS] or None


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


def _page_text(body: bytes, secrets: Sequence[Secret]) -> str:
    """The visible text of an HTML page. Keys are removed first: some are recognized only by the tag around them."""
    page = scrub(_shortened(body.decode("utf-8", "replace")), secrets)
    return " ".join(re.sub(r"(?is)<(script|style|head)\b.*?</\1>|<[^>]*>", " ", page).split())


def _shortened(text: str) -> str:
    """The text, cut to MAX_READ_CHARACTERS and then to the end of the last whole word, so that no key is cut in two."""
    return text if len(text) <= MAX_READ_CHARACTERS else text[:MAX_READ_CHARACTERS].rstrip(_KEY_CHARACTERS)
