"""Keeps secret values out of everything that is written down or shown.

`Secret` holds one value and gives it only to whoever asks by name; `scrub` and `LogFilter` are the
second line, for text that came from elsewhere.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Iterable
from typing import Any, NoReturn

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

MASK = "[hidden]"

# The gateway echoes the access key inside .0301 messages: "Get secretKey failed,ak:HST3…,err:ak not exist".
_ECHOED_ACCESS_KEY = re.compile(r"(?i)\b(access(?:[_ ]?key)?|ak)(\s*[:=]\s*)([A-Za-z0-9]{8,})")
_TOKENS = re.compile(
    r"\b(?:xox[a-z]-|xapp-|hvs\.|hvb\.|hvr\.|s\.|b\.)[A-Za-z0-9_\-]{12,}"
    r"|(?<=hooks\.slack\.com/)[A-Za-z0-9/]+"
    r"|(?i:(?<=Signature=)[0-9a-f]{16,})"
)


class Secret:
    """A string that `str`, `repr`, `format`, pickle, copy and JSON do not give away. Opened by `reveal` alone."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The value itself. Call it where the value leaves the process, and nowhere else."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __len__(self) -> int:
        return len(self.__value)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is not written down")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(
            lambda value: value if isinstance(value, cls) else cls(value),
            core_schema.union_schema([core_schema.is_instance_schema(cls), core_schema.str_schema()]),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: MASK),
        )


def scrub(text: str, secrets: Iterable[Secret] = ()) -> str:
    """`text` without the given values, without access keys that a gateway echoed, without anybody's tokens."""
    for secret in secrets:
        value = secret.reveal()
        if len(value) >= 4:
            text = text.replace(value, MASK)
    text = _ECHOED_ACCESS_KEY.sub(lambda found: f"{found[1]}{found[2]}{MASK}", text)
    return _TOKENS.sub(MASK, text)


class LogFilter(logging.Filter):
    """Scrubs every record once, at the handler, its traceback included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = scrub(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = scrub(logging.Formatter().formatException(record.exc_info))
        elif record.exc_text:
            record.exc_text = scrub(record.exc_text)
        return True
