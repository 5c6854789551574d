"""The errors of a call to Huawei Cloud. Each kind says what is known about whether the call took effect.

    HuaweiError
    ├── NotSent        nothing reached the service: nothing was done
    │   └── TooLate    the bot did not send the call, because another worker may have taken over
    ├── Throttled      429: nothing was done, and the call can be repeated later
    ├── Rejected       another 4xx, or a redirect: nothing was done
    ├── Unanswered     no answer, or 5xx: it may or may not have been done
    ├── Unreadable     2xx, and the body is not as documented: it was done
    ├── Suspended      the circuit breaker lets no call through: nothing was done
    └── UnusableIdentity  what Vault holds is no identity for the call: nothing was done

Reading an error answer is left to `error_answer`, what its code means to `error_catalogue`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Service(StrEnum):
    """The service at Huawei Cloud that a call goes to."""

    #: Object Storage Migration Service.
    OMS = "OMS"
    #: Identity and Access Management.
    IAM = "IAM"


class HuaweiError(Exception):
    """The base of all errors of a call. Its text holds no secret and can be shown to people."""

    def __init__(self, message: str, service: Service = Service.OMS) -> None:
        super().__init__(message)
        self.service = service


class NotSent(HuaweiError):
    """Nothing reached the service: no valid address, no connection, or no trusted certificate. Nothing was done.

    Attributes:
        next_step: what to do about it, for people; empty if that is to check the address and the network.
    """

    def __init__(self, message: str, service: Service = Service.OMS, next_step: str = "") -> None:
        super().__init__(message, service)
        self.next_step = next_step


class TooLate(NotSent):
    """The bot was held up, and another worker may have taken over. It did not send the call. Nothing was done."""


class Throttled(HuaweiError):
    """OMS or IAM answered 429. Nothing was done. `retry_after_seconds` is None if the answer does not say it."""

    def __init__(self, retry_after_seconds: int | None, answer: Answer, service: Service = Service.OMS) -> None:
        super().__init__(f"{service} is throttling calls (429)", service)
        self.retry_after_seconds = retry_after_seconds
        self.answer = answer


class Rejected(HuaweiError):
    """OMS or IAM answered another 4xx, or a redirect, which the bot does not follow. Nothing was done."""

    def __init__(self, answer: Answer, service: Service = Service.OMS) -> None:
        super().__init__(f"rejected with {answer.code}", service)
        self.answer = answer


class Unanswered(HuaweiError):
    """The call was sent, and no answer came or a 5xx, which `answer` has then. It may or may not have been done."""

    def __init__(self, message: str, answer: Answer | None = None, service: Service = Service.OMS) -> None:
        super().__init__(message, service)
        self.answer = answer


class Unreadable(HuaweiError):
    """OMS or IAM answered 2xx with a body that is not as documented. The call was done.

    Attributes:
        next_step: what to do about it, for people; empty if another try may succeed.
    """

    def __init__(self, message: str, service: Service = Service.OMS, next_step: str = "") -> None:
        super().__init__(message, service)
        self.next_step = next_step


class Suspended(HuaweiError):
    """The circuit breaker of the bot's identity is open, or too many refusals count. Nothing was done.

    Attributes:
        path: the Vault path, with the mount, of the credential that was used last.
        code: the error code of the refusal; empty if no answer to the last calls is known.
        is_close_to_lock: whether no try is possible before five minutes have passed.
    """

    def __init__(self, path: str, code: str, *, is_close_to_lock: bool) -> None:
        super().__init__(f"Huawei Cloud rejected the credentials at {path}")
        self.path = path
        self.code = code
        self.is_close_to_lock = is_close_to_lock


class UnusableIdentity(HuaweiError):
    """What is at `path` in Vault is no identity that the bot can call with. Nothing was done.

    Attributes:
        sentence: what is wrong, for people.
        next_step: what to do about it, for people.
    """

    def __init__(self, path: str, sentence: str, next_step: str) -> None:
        super().__init__(sentence)
        self.path = path
        self.sentence = sentence
        self.next_step = next_step


@dataclass(frozen=True)
class Answer:
    """An answer that is not a success, without secrets."""

    http_status: int
    code: str  # the error code, or `HTTP` and the status if the body has none
    message: str  # one line; may be empty
    detail: str  # one line; may be empty
    huawei_request_id: str | None  # None if the answer has none
    repeats_key: bool = False  # the answer repeats a part of a key, so nothing of its text is in the other fields
