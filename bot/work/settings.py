"""What the settings in force would do for a request: compared with what was asked for before anything is done."""

from __future__ import annotations

from bot.request.model import Plan, Request
from bot.work.tools import Tools


def plan_now(tools: Tools, request: Request) -> Plan | None:
    """The plan that asking now would give; None when the settings no longer have the project or the bucket's path."""
    project = tools.projects.get(request.plan.project)
    return project.plan(request.plan.project, request.group.source.bucket) if project else None
