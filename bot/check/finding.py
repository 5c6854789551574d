"""The result of one check, as `taskgroup-bot check` prints it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.huawei.errors import UnusableIdentity
from bot.vault.errors import VaultError


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Arguments:
        subject: what was checked, such as `database` or `project media, channel C0123456789`.
        result: what was found, without a full stop.
        fix: what to do about it; empty when nothing is wrong.
        is_skipped: whether the check was not made, for example because a check that it depends on failed.
        is_warning: whether the bot can run, although the fix is recommended.
    """

    subject: str
    result: str
    fix: str = ""
    is_skipped: bool = False
    is_warning: bool = False

    @property
    def is_ok(self) -> bool:
        """Whether nothing keeps the bot from running."""
        return not self.fix or self.is_warning

    @property
    def allows_next(self) -> bool:
        """Whether checks that depend on this one can be made."""
        return self.is_ok and not self.is_skipped

    def __str__(self) -> str:
        if self.is_skipped:
            return f"skip  {self.subject}: {self.result}"
        if not self.fix:
            return f"ok    {self.subject}: {self.result}"
        return f"{'warn' if self.is_warning else 'FAIL'}  {self.subject}: {self.result}. Fix: {self.fix}"


def skipped(subject: str, needed: Finding) -> Finding:
    """The finding for a check that is not made, because the check `needed` failed or was skipped."""
    how = "was skipped" if needed.is_skipped else "failed"
    return Finding(subject, f'not checked because "{needed.subject}" {how}', is_skipped=True)


def vault_failed(subject: str, error: UnusableIdentity | VaultError) -> Finding:
    """The finding for a failed call to Vault, or for a secret that is not a usable credential."""
    return Finding(subject, error.sentence.rstrip("."), error.next_step.rstrip("."))
