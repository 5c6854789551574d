"""What can come back from OMS instead of an answer: not sent, unanswered, throttled, refused, unreadable.

Pure parsing of every shape of error body; no key that was sent comes out of it. What a code means is left to
`catalogue`.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.redaction import Secret, scrub, visible

MESSAGE_CHARACTERS = 600
REQUEST_ID_CHARACTERS = 64
# So much of a text is looked at. It is cut to what is shown only when no key is left in it: of half a key nothing tells
# that it is one.
READ_CHARACTERS = 8_192
_IN_KEYS = string.ascii_letters + string.digits + "+/=_-%\\"


class Service(StrEnum):
    """Whose answer it is, or would have been."""

    OMS = "OMS"
    IAM = "IAM"


class HuaweiError(Exception):
    """Any of those below."""

    def __init__(self, why: str, service: Service = Service.OMS) -> None:
        super().__init__(why)
        self.service = service


class NotSent(HuaweiError):
    """Nothing left the bot: no address, no connection, no trust in the certificate."""


class TooLate(NotSent):
    """Nothing left the bot: it came to it when others may have taken it for dead."""


@dataclass(frozen=True)
class Answer:
    """An answer that is not a success. `code` is the error code, or the HTTP status where there is none."""

    http_status: int
    code: str
    message: str
    detail: str
    huawei_request_id: str | None


class Rejected(HuaweiError):
    """A no (4xx, or a redirect, which is not followed): nothing was done."""

    def __init__(self, answer: Answer, service: Service = Service.OMS) -> None:
        super().__init__(f"refused with {answer.code}", service)
        self.answer = answer


class Throttled(HuaweiError):
    """429: nothing was done, and it asks to wait."""

    def __init__(self, retry_after_seconds: int | None, answer: Answer, service: Service = Service.OMS) -> None:
        super().__init__(f"{service} asks to slow down (429)", service)
        self.retry_after_seconds = retry_after_seconds
        self.answer = answer


class Unanswered(HuaweiError):
    """It may or may not have been done: sent, and no answer came, or one of 5xx (then `answer` holds it)."""

    def __init__(self, why: str, answer: Answer | None = None, service: Service = Service.OMS) -> None:
        super().__init__(why, service)
        self.answer = answer


class Unreadable(HuaweiError):
    """A success whose body is not what the API describes."""


def read_answer(http_status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret]) -> Answer:
    """An error answer of any shape: OMS, gateway, IAM v3, camelCase, or no JSON at all. Never raises.

    Arguments:
        headers: looked up without regard to case.
        secrets: all that was sent and nobody may read: an answer may echo it, in any of its fields.
    """
    code = message = detail = ""
    in_body: str | None = None
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        message = _text_of_page(body, secrets)
    else:
        found = _find(parsed)
        code, message, detail = found.get("code", ""), found.get("message", ""), found.get("detail", "")
        in_body = found.get("request_id")
    return Answer(
        http_status,
        clean_code(scrub(_beginning(code), secrets)) or f"HTTP {http_status}",
        clean_message(message, secrets),
        clean_message(detail, secrets),
        _request_id(_id_in(headers) or in_body, secrets),
    )


def request_id_of(headers: Mapping[str, str], secrets: Iterable[Secret]) -> str | None:
    """Huawei's id of a request, from the headers of its answer; None where there is none, or it holds a secret."""
    return _request_id(_id_in(headers), secrets)


def _id_in(headers: Mapping[str, str]) -> str | None:
    return headers.get("X-Request-Id") or headers.get("X-IAM-Trace-Id")


def _request_id(text: str | None, secrets: Iterable[Secret]) -> str | None:
    read = _beginning(text or "")
    if scrub(read, secrets) != read:
        return None
    return re.sub(r"[^A-Za-z0-9_.\-]", "", read)[:REQUEST_ID_CHARACTERS] or None


def _find(parsed: object, depth: int = 0) -> dict[str, str]:
    if not isinstance(parsed, dict) or depth > 3:
        return {}
    for code, message in (("error_code", "error_msg"), ("errorCode", "errorMsg"), ("code", "message")):
        if code in parsed or message in parsed:
            found = {"code": _text(parsed.get(code)), "message": _text(parsed.get(message))}
            found["detail"] = _text(parsed.get("error_detail"))
            found["request_id"] = _text(parsed.get("request_id"))
            return found
    for value in parsed.values():
        found = _find(value, depth + 1)
        if found:
            return found
    return {}


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def clean_message(text: str, secrets: Sequence[Secret] = ()) -> str:
    """What Huawei Cloud says of an error, for people: one line, without keys that it echoes, and not too long."""
    return visible(scrub(_beginning(text), secrets))[:MESSAGE_CHARACTERS]


def clean_code(code: str) -> str:
    """The code with the gateway's two prefixes as one; empty where it is none, or the HTTP status once more."""
    if not re.fullmatch(r"(?!\d{3}$)[A-Za-z0-9_.\-]{1,40}", code, re.ASCII):
        return ""
    return re.sub(r"^APIGW?\.", "APIG.", code)


def _text_of_page(body: bytes, secrets: Sequence[Secret]) -> str:
    # First the keys: without its tags nothing would tell that one is one.
    page = scrub(_beginning(body.decode("utf-8", "replace")), secrets)
    return " ".join(re.sub(r"(?is)<(script|style|head)\b.*?</\1>|<[^>]*>", " ", page).split())


def _beginning(text: str) -> str:
    return text if len(text) <= READ_CHARACTERS else text[:READ_CHARACTERS].rstrip(_IN_KEYS)
