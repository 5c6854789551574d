"""Logs in at IAM with a user name and password, and looks up the id of a project.

When a token is renewed, and what follows from a refused login, is left to `identity`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

import requests
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.huawei.errors import Service, Unreadable
from bot.huawei.http import Call, Timeouts, send
from bot.huawei.signing import Auth, PasswordUser
from bot.redaction import Secret

MAX_TOKEN_CHARACTERS = 16_384


@dataclass(frozen=True)
class Token:
    """An IAM token for one project."""

    value: Secret
    expires_at: datetime  # in UTC
    project_id: str


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Project(_Wire):
    id: str


class _TokenBody(_Wire):
    expires_at: datetime
    project: _Project


class _Created(_Wire):
    token: _TokenBody


class _Projects(_Wire):
    projects: list[_Project]


class Iam:
    """The IAM of one region.

    Arguments:
        base_url: such as `https://iam.ap-southeast-3.myhuaweicloud.com`.
    """

    def __init__(self, base_url: str, session: requests.Session, timeouts: Timeouts | None = None) -> None:
        self._base = base_url
        self._session = session
        self._timeouts = timeouts or Timeouts()

    def log_in(self, user: PasswordUser, region: str, project_id: str | None) -> Token:
        """Fetches a token for a project (POST /v3/auth/tokens).

        Arguments:
            project_id: None for the region's own project, which has the region's id as its name.

        Raises:
            HuaweiError: any kind, with the service IAM.
        """
        body = login_body(user, region, project_id)
        call = Call(Service.IAM, "POST", f"{self._base}/v3/auth/tokens?nocatalog=true", body, (user.password,))
        answer = send(self._session, call, None, self._timeouts)
        return read_token(answer.headers.get("X-Subject-Token", ""), answer.parsed(Service.IAM))

    def project_id(self, region: str, auth: Auth) -> str:
        """Looks up the id of the region's own project (GET /v3/projects).

        Raises:
            HuaweiError: any kind, with the service IAM. Unreadable also if there is not exactly one project.
        """
        call = Call(Service.IAM, "GET", f"{self._base}/v3/projects?{urlencode({'name': region})}")
        parsed = send(self._session, call, auth, self._timeouts).parsed(Service.IAM)
        try:
            found = _Projects.model_validate(parsed).projects
        except ValidationError:
            raise Unreadable("IAM returned something other than a list of projects", Service.IAM) from None
        if len(found) != 1:
            raise Unreadable(
                f"IAM has {len(found)} projects named {region}", Service.IAM, "Set project_id in bot.toml."
            )
        return found[0].id


def login_body(user: PasswordUser, region: str, project_id: str | None) -> bytes:
    """The body of a login with a password. `project_id` is as for `Iam.log_in`."""
    project = {"id": project_id} if project_id else {"name": region}
    iam_user = {"name": user.name, "password": user.password.reveal(), "domain": {"name": user.domain}}
    auth = {"identity": {"methods": ["password"], "password": {"user": iam_user}}, "scope": {"project": project}}
    return json.dumps({"auth": auth}, ensure_ascii=False).encode()


def read_token(header: str, parsed: object) -> Token:
    """Reads the answer to a login.

    Arguments:
        header: the value of X-Subject-Token; empty if the header is missing.
        parsed: the body.

    Raises:
        Unreadable: the answer is not as documented.
    """
    try:
        created = _Created.model_validate(parsed).token
    except ValidationError:
        raise Unreadable("IAM returned a token with an undocumented body", Service.IAM) from None
    if not 1 <= len(header) <= MAX_TOKEN_CHARACTERS:
        raise Unreadable("IAM returned no token", Service.IAM)
    expires_at = created.expires_at
    if expires_at.tzinfo is None:
        expires_at = expires_at.replace(tzinfo=UTC)
    return Token(Secret(header), expires_at.astimezone(UTC), created.project.id)
