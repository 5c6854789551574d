"""An error answer of Huawei Cloud, in the shapes of those who give it: OMS, the gateway in front of it, and IAM.

Pure. Who refuses what is left to `oms_world`, `gate` and `iam`.
"""

from __future__ import annotations

TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden"}


class Rejection(Exception):
    """OMS or the gateway says no.

    Arguments:
        detail: OMS's `error_detail`, which names the field that it is about.
        retry_after: seconds, as a header says it.
    """

    def __init__(
        self, http_status: int, code: str, message: str, detail: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(code)
        self.http_status = http_status
        self.code = code
        self.message = message
        self.detail = detail
        self.retry_after = retry_after

    def body(self, request_id: str) -> dict[str, object]:
        """As it goes out: the gateway (APIG, APIGW) adds the request id, OMS the detail."""
        found: dict[str, object] = {"error_code": self.code, "error_msg": self.message}
        if self.detail:
            found["error_detail"] = self.detail
        if self.code.startswith("APIG"):
            found["request_id"] = request_id
        return found


class IamRejection(Rejection):
    """IAM says no, in the shape of its version 3; the code is the HTTP status where there is no other."""

    def body(self, request_id: str) -> dict[str, object]:
        code: object = self.code or self.http_status
        return {"error": {"code": code, "message": self.message, "title": TITLES[self.http_status]}}


def invalid(field: str) -> Rejection:
    """OMS finds a parameter wrong, and names it."""
    return Rejection(400, "OMS.0064", "Invalid request parameters.", f"request parameter [{field}] invalid.")


def missing(field: str) -> Rejection:
    """OMS misses a parameter, and names it."""
    return Rejection(400, "OMS.1004", "A required parameter is missing.", f"request parameter [{field}] missing.")
