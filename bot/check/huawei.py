"""Checks Huawei Cloud: the bot's own identity in each project, IAM and OMS."""

from __future__ import annotations

from collections.abc import Iterator

from bot.check.finding import Finding, skipped, vault_failed
from bot.check.vault import version_suffix
from bot.config.bot_toml import Project
from bot.domain.failure_causes import SubTaskStatus
from bot.huawei.credential import KINDS, load_credential
from bot.huawei.error_catalogue import Side
from bot.huawei.errors import HuaweiError, UnusableIdentity
from bot.huawei.identity import Identity
from bot.jobs.problems import RetryHint, explain
from bot.ui.problem_texts import with_references
from bot.vault.client import Vault
from bot.vault.errors import VaultError


def check_caller(vault: Vault, name: str, project: Project) -> Finding:
    """Whether the bot's own credential for a project can be read from Vault, and its kind."""
    subject = f"project {name}, Vault {project.vault.mount}/{project.vault.caller}"
    try:
        found = load_credential(vault.read, project.vault.mount, project.vault.caller)
    except (UnusableIdentity, VaultError) as error:
        return vault_failed(subject, error)
    return Finding(subject, f"can be read{version_suffix(found.version)}, contains {KINDS[type(found.credential)]}")


def check_huawei_cloud(
    identity: Identity, name: str, project: Project, known: dict[tuple[str, str], str]
) -> Iterator[Finding]:
    """Whether IAM and OMS answer calls with the bot's own identity. OMS is checked only if IAM answers.

    Arguments:
        known: names of the projects checked so far, by OMS address and project id. Adds this project.
    """
    subject, oms_subject = f"project {name}, IAM {project.iam_address}", f"project {name}, OMS {project.oms_address}"
    is_iam_known = False
    try:
        project_id = identity.project_id(name)
        first = known.setdefault((project.oms_address, project_id), name)
        is_new = first == name
        fix = "" if is_new else "keep one table for this project, so that its groups have one set of approvers"
        yield Finding(subject, f"project id {project_id}{'' if is_new else f', the same as project {first}'}", fix)
        is_iam_known = True
        subject = oms_subject
        count = identity.call(name, lambda oms: sum(1 for _ in oms.groups()))
    except (HuaweiError, VaultError) as error:
        problem = explain(error, project.plan(name, "", None), RetryHint.NOTHING, "")
        failed = Finding(subject, with_references(problem).rstrip("."), problem.next_step.rstrip("."))
        yield failed
        if not is_iam_known:
            yield skipped(oms_subject, failed)
        return
    yield Finding(subject, f"answers, {count} task group{'' if count == 1 else 's'}")
    yield _check_listing_tasks(identity, name, project)


def _check_listing_tasks(identity: Identity, name: str, project: Project) -> Finding:
    """Whether the bot may list sub-tasks. Without this permission, it cannot tell why sub-tasks of a group failed."""
    subject = f"project {name}, permission oms:task:list"
    try:
        identity.call(name, lambda oms: next(oms.tasks(None, SubTaskStatus.FAILED), None))
    except (HuaweiError, VaultError) as error:
        problem = explain(error, project.plan(name, "", None), RetryHint.NOTHING, "")
        if problem.side == Side.PERMISSIONS:
            fix = "grant it to the bot's IAM user, so that cards can say why sub-tasks of a group failed"
            return Finding(subject, "missing", fix, is_warning=True)
        return Finding(subject, with_references(problem).rstrip("."), problem.next_step.rstrip("."), is_warning=True)
    return Finding(subject, "granted")
