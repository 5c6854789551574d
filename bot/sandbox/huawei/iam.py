"""The IAM stand-in: issues a token for a password, and finds a project's id by its region.

Adds its routes to the server of OMS. As strict as IAM about the shape of a call (API reference, "Obtaining a User Token
Through Password Authentication" and "Querying Project Information Based on the Specified Criteria").
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from bot.sandbox.call_log import CallLog
from bot.sandbox.huawei.api_gateway import ApiGateway, Lockouts, Tokens
from bot.sandbox.huawei.credentials import DOMAIN, PASSWORD, USER_NAME, CloudProject
from bot.sandbox.huawei.faults import Faults, respond
from bot.sandbox.huawei.rejection import IamRejection, Rejection

USER_ID, DOMAIN_ID = "5ee0f6f7a0000000000000000000000b", "5ee0f6f7a0000000000000000000000d"


class IamStandIn:
    """IAM of the region of one project."""

    def __init__(
        self, project: CloudProject, tokens: Tokens, gateway: ApiGateway, faults: Faults, call_log: CallLog
    ) -> None:
        self._project = project
        self._tokens = tokens
        self._gateway = gateway
        self._faults = faults
        self._call_log = call_log
        self._lockouts = Lockouts(tokens.now)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/v3/auth/tokens", self._token)
        router.add_get("/v3/projects", self._projects)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()

        def log_in() -> tuple[web.StreamResponse, str]:
            return self._log_in(request, body), f"a token for {self._project.name}"

        return await self._answer(request, "token", log_in)

    async def _projects(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()

        def find_project() -> tuple[web.StreamResponse, str]:
            self._gateway.check(request, body)
            name = request.query.get("name", self._project.region)
            found = (
                [{"id": self._project.project_id, "name": self._project.region}] if name == self._project.region else []
            )
            return web.json_response({"projects": found, "links": {}}), f"{len(found)} projects"

        return await self._answer(request, "projects", find_project)

    async def _answer(
        self, request: web.Request, endpoint: str, carry_out: Callable[[], tuple[web.StreamResponse, str]]
    ) -> web.StreamResponse:
        def log(status: int, note: str) -> None:
            self._call_log.write("iam", request.method, request.path, status, note)

        try:
            return await respond(self._faults.take(endpoint), request, carry_out, log)
        except Rejection as rejection:
            log(rejection.http_status, rejection.code)
            return rejection.response()

    def _log_in(self, request: web.Request, body: bytes) -> web.Response:
        """Issues a token.

        Raises:
            Rejection: the request does not have the documented shape, the login is wrong, or the user is locked.
        """
        if request.content_type != "application/json":
            raise _bad_request("The request must have the content type application/json.")
        user, project = _read_login(body)
        if self._lockouts.is_locked(user["name"]):
            raise IamRejection(401, "IAM.0061", "The account is locked.")
        if (user["name"], user["password"], user["domain"]["name"]) != (USER_NAME, PASSWORD, DOMAIN):
            self._lockouts.record_failure(user["name"])
            raise IamRejection(401, "", "The username or password is wrong.")
        self._lockouts.record_success(user["name"])
        if project not in ({"name": self._project.region}, {"id": self._project.project_id}):
            raise Rejection(400, "IAM.1109", "The project does not exist.")
        token, expires_at = self._tokens.issue()
        domain = {"id": DOMAIN_ID, "name": DOMAIN}
        described: dict[str, object] = {
            "methods": ["password"],
            "issued_at": _time(self._tokens.now()),
            "expires_at": _time(expires_at),
            "project": {"id": self._project.project_id, "name": self._project.region, "domain": domain},
            "user": {"id": USER_ID, "name": USER_NAME, "domain": domain, "password_expires_at": ""},
            "roles": [{"id": "0", "name": "oms_adm"}],
        }
        if not request.query.get("nocatalog"):
            described["catalog"] = [{"type": "oms", "id": "0", "name": "oms", "endpoints": []}]
        return web.json_response({"token": described}, status=201, headers={"X-Subject-Token": token})


def _read_login(body: bytes) -> tuple[dict[str, Any], object]:
    """The user and the project of a login by password.

    Raises:
        IamRejection: the body is not a login by password for one project.
    """
    try:
        parsed = json.loads(body)
    except ValueError:
        raise _bad_request("The request body is not JSON.") from None
    auth = _object(parsed, {"auth"}, "body")["auth"]
    auth = _object(auth, {"identity", "scope"}, "auth")
    identity = _object(auth["identity"], {"methods", "password"}, "identity")
    if identity["methods"] != ["password"]:
        raise _bad_request("The parameter methods is invalid.")
    user = _object(_object(identity["password"], {"user"}, "password")["user"], {"name", "password", "domain"}, "user")
    _object(user["domain"], {"name"}, "domain")
    if not all(isinstance(value, str) and value for value in (user["name"], user["password"], user["domain"]["name"])):
        raise _bad_request("The parameter user is invalid.")
    return user, _object(auth["scope"], {"project"}, "scope")["project"]


def _object(value: object, names: set[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise _bad_request(f"The parameter {where} must have {', '.join(sorted(names))} and nothing else.")
    return value


def _bad_request(why: str) -> IamRejection:
    return IamRejection(400, "", why)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
