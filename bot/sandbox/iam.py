"""The IAM stand-in: logs in with a password for a token, and tells a project's id by its region.

Routes beside those of OMS on the same port. Strict about shapes, as IAM is: API reference, "Obtaining a User Token
Through Password Authentication" and "Querying Project Information Based on the Specified Criteria".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from bot.sandbox.api_gateway import ApiGateway, Locks, Tokens
from bot.sandbox.call_log import CallLog
from bot.sandbox.credentials import DOMAIN, PASSWORD, USER_NAME, CloudProject
from bot.sandbox.faults import Faults, meet, refused
from bot.sandbox.rejection import IamRejection, Rejection

USER_ID, DOMAIN_ID = "5ee0f6f7a0000000000000000000000b", "5ee0f6f7a0000000000000000000000d"


class Iam:
    """IAM as one region answers it."""

    def __init__(
        self, place: CloudProject, tokens: Tokens, gate: ApiGateway, faults: Faults, call_log: CallLog
    ) -> None:
        self._place = place
        self._tokens = tokens
        self._gate = gate
        self._faults = faults
        self._journal = call_log
        self._locks = Locks(tokens.now)

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_post("/v3/auth/tokens", self._token)
        router.add_get("/v3/projects", self._projects)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()

        def work() -> tuple[web.StreamResponse, str]:
            return self._log_in(request, body), f"a token for {self._place.name}"

        return await self._answer(request, "token", work)

    async def _projects(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()

        def work() -> tuple[web.StreamResponse, str]:
            self._gate.check(request, body)
            name = request.query.get("name", self._place.region)
            found = [{"id": self._place.project_id, "name": self._place.region}] if name == self._place.region else []
            return web.json_response({"projects": found, "links": {}}), f"{len(found)} projects"

        return await self._answer(request, "projects", work)

    async def _answer(
        self, request: web.Request, endpoint: str, work: Callable[[], tuple[web.StreamResponse, str]]
    ) -> web.StreamResponse:
        def note(status: int, words: str) -> None:
            self._journal.write("iam", request.method, request.path, status, words)

        try:
            return await meet(self._faults.take(endpoint), request, work, note)
        except Rejection as refusal:
            note(refusal.http_status, refusal.code)
            return refused(refusal)

    def _log_in(self, request: web.Request, body: bytes) -> web.Response:
        """
        Raises:
            Refusal: the request is not as documented, or the login is wrong or locked.
        """
        if request.content_type != "application/json":
            raise _bad("The request must have the content type application/json.")
        user, project = _read_login(body)
        if self._locks.is_locked(user["name"]):
            raise IamRejection(401, "IAM.0061", "The account is locked.")
        if (user["name"], user["password"], user["domain"]["name"]) != (USER_NAME, PASSWORD, DOMAIN):
            self._locks.failed(user["name"])
            raise IamRejection(401, "", "The username or password is wrong.")
        self._locks.succeeded(user["name"])
        if project not in ({"name": self._place.region}, {"id": self._place.project_id}):
            raise Rejection(400, "IAM.1109", "The project does not exist.")
        token, ends_at = self._tokens.issue()
        domain = {"id": DOMAIN_ID, "name": DOMAIN}
        said: dict[str, object] = {
            "methods": ["password"],
            "issued_at": _time(self._tokens.now()),
            "expires_at": _time(ends_at),
            "project": {"id": self._place.project_id, "name": self._place.region, "domain": domain},
            "user": {"id": USER_ID, "name": USER_NAME, "domain": domain, "password_expires_at": ""},
            "roles": [{"id": "0", "name": "oms_adm"}],
        }
        if not request.query.get("nocatalog"):
            said["catalog"] = [{"type": "oms", "id": "0", "name": "oms", "endpoints": []}]
        return web.json_response({"token": said}, status=201, headers={"X-Subject-Token": token})


def _read_login(body: bytes) -> tuple[dict[str, Any], object]:
    """The user and the scope's project.

    Raises:
        IamRefusal: the body is anything but a login by password, for one project.
    """
    try:
        parsed = json.loads(body)
    except ValueError:
        raise _bad("The request body is not JSON.") from None
    auth = _members(parsed, {"auth"}, "body")["auth"]
    auth = _members(auth, {"identity", "scope"}, "auth")
    identity = _members(auth["identity"], {"methods", "password"}, "identity")
    if identity["methods"] != ["password"]:
        raise _bad("The parameter methods is invalid.")
    user = _members(
        _members(identity["password"], {"user"}, "password")["user"], {"name", "password", "domain"}, "user"
    )
    _members(user["domain"], {"name"}, "domain")
    if not all(isinstance(value, str) and value for value in (user["name"], user["password"], user["domain"]["name"])):
        raise _bad("The parameter user is invalid.")
    return user, _members(auth["scope"], {"project"}, "scope")["project"]


def _members(value: object, names: set[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise _bad(f"The parameter {where} must have {', '.join(sorted(names))} and nothing else.")
    return value


def _bad(why: str) -> IamRejection:
    return IamRejection(400, "", why)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
