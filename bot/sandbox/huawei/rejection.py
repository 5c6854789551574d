"""An error response of Huawei Cloud, in the shape of the service that sends it: OMS, the API gateway, or IAM.

When a call is rejected is left to `oms_state`, `request_body`, `api_gateway` and `iam`.
"""

from __future__ import annotations

import secrets

from aiohttp import web

TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden"}


class Rejection(Exception):
    """OMS or the API gateway rejects a call.

    Arguments:
        code: such as "OMS.0064" or "APIG.0301".
        detail: OMS's `error_detail`, which names the field that is wrong.
        retry_after: seconds, sent as the header Retry-After.
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
        """The JSON body. The gateway (APIG, APIGW) adds the request id, OMS adds the detail."""
        found: dict[str, object] = {"error_code": self.code, "error_msg": self.message}
        if self.detail:
            found["error_detail"] = self.detail
        if self.code.startswith("APIG"):
            found["request_id"] = request_id
        return found

    def response(self) -> web.Response:
        """The HTTP response, with a request id of its own."""
        request_id = secrets.token_hex(16)
        headers = {"X-Request-Id": request_id}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return web.json_response(self.body(request_id), status=self.http_status, headers=headers)


class IamRejection(Rejection):
    """IAM rejects a call, in the shape of its API version 3. Without a code, the body carries the HTTP status."""

    def body(self, request_id: str) -> dict[str, object]:
        code: object = self.code or self.http_status
        return {"error": {"code": code, "message": self.message, "title": TITLES[self.http_status]}}


def invalid(field: str) -> Rejection:
    """The rejection of a parameter with a wrong value."""
    return Rejection(400, "OMS.0064", "Invalid request parameters.", f"request parameter [{field}] invalid.")


def missing(field: str) -> Rejection:
    """The rejection of a call that lacks a required parameter."""
    return Rejection(400, "OMS.1004", "A required parameter is missing.", f"request parameter [{field}] missing.")
