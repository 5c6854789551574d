"""A problem, as cards and messages show it to people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """What went wrong, what it means, and what to do. Fields that are empty strings are not shown."""

    where: str  # the service that answered, such as `OMS` or `Vault`
    code: str  # its error code
    message: str  # its error message, without secrets
    meaning: str  # what the error means, and whether anything was started
    next_step: str  # what to do, and where
    huawei_request_id: str | None = None  # for a support ticket; None if Huawei Cloud did not answer
    reference: str | None = None  # of a bug, for finding its log record; None if the problem is not a bug
    side: str = ""  # the side that causes the error: a value of `bot.huawei.error_catalogue.Side`
