"""Renews a static token after two thirds of its life, even while the bot is idle.

Tokens of a login are not renewed: the bot logs in again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from bot.vault.errors import VaultError, translating_errors
from bot.vault.session import VaultSession
from bot.vault.token import TokenLimits

log = logging.getLogger(__name__)

# Another program may replace the token, so its limits are looked up at least this often.
LOOK_AGAIN_SECONDS = 600.0
# The pause after a call that failed and may succeed later.
TRY_AGAIN_SECONDS = 5.0
MIN_PAUSE_SECONDS = 1.0


def renew_if_due(session: VaultSession) -> float:
    """Renews the token of a session if two thirds of its life are over. Returns how many seconds later to call again.

    Raises:
        VaultError: Vault did not renew the token.
    """
    seconds = session.limits.seconds_until_renewal
    if seconds == 0:
        with translating_errors("auth/token/renew-self"):
            renewed = TokenLimits.of_login(session.clients.login.auth.token.renew_self()["auth"])
        left, before = renewed.seconds_left or 0, session.limits.seconds_left or 0
        if left > before + 1:
            log.info("renewed the Vault token, which is now valid for %d s", left)
        else:
            log.warning("the Vault token reaches its maximum TTL in %d s. Replace it before that.", left)
        seconds = renewed.seconds_until_renewal
    return LOOK_AGAIN_SECONDS if seconds is None else min(max(seconds, MIN_PAUSE_SECONDS), LOOK_AGAIN_SECONDS)


def renew_until_stopped(renew: Callable[[], float | None], stopped: threading.Event) -> None:
    """Calls `renew` whenever the token may be due, until `renew` returns None. Logs each new problem once.

    Arguments:
        renew: `Vault.renew_token`.
    """
    pause: float | None = 0.0
    logged = ""
    while pause is not None and not stopped.wait(pause):
        try:
            pause, logged = renew(), ""
        except VaultError as error:
            pause = TRY_AGAIN_SECONDS if error.may_pass else LOOK_AGAIN_SECONDS
            if error.sentence != logged:
                log.warning("Vault login: %s %s", error.sentence, error.next_step)
            logged = error.sentence
