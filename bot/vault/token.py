"""What Vault says about a token besides its rights: its type, how often it can be used, and how long it lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# The part of its life after which a token is renewed.
RENEWED_AFTER = 2 / 3


@dataclass(frozen=True)
class TokenLimits:
    """The limits of a token.

    Arguments:
        is_batch: a batch token, which has no accessor and cannot be revoked.
        uses: the number of calls after which Vault revokes the token; 0 is no limit.
        seconds_left: how long the token is still valid; None if it does not expire.
        life_seconds: how long it was valid when it was issued or last renewed.
        is_renewable: whether Vault renews it.
        is_periodic: whether Vault renews it without end.
    """

    is_batch: bool
    uses: int
    seconds_left: int | None
    life_seconds: float
    is_renewable: bool
    is_periodic: bool

    @classmethod
    def of_login(cls, auth: Mapping[str, Any]) -> TokenLimits:
        """The limits in the `auth` of Vault's answer to a login or a renewal."""
        seconds = int(auth["lease_duration"])
        is_batch, uses = auth.get("token_type") == "batch", auth.get("num_uses") or 0
        return cls(is_batch, uses, seconds or None, seconds, bool(auth["renewable"]), is_periodic=False)

    @classmethod
    def of_lookup(cls, data: Mapping[str, Any]) -> TokenLimits:
        """The limits in the `data` of Vault's answer to `auth/token/lookup-self`."""
        expire_time, life = data["expire_time"], 0.0
        if expire_time is not None:
            began = max(int(data["creation_time"]), int(data.get("last_renewal_time") or 0))
            life = datetime.fromisoformat(expire_time).timestamp() - began
        return cls(
            data["type"] == "batch",
            int(data["num_uses"]),
            None if expire_time is None else int(data["ttl"]),
            life,
            bool(data["renewable"]),
            bool(data.get("period")),
        )

    @property
    def seconds_until_renewal(self) -> float | None:
        """How long until two thirds of the token's life are over; None if it cannot be renewed or does not expire."""
        if self.seconds_left is None or not self.is_renewable:
            return None
        return max(0.0, self.seconds_left - self.life_seconds * (1 - RENEWED_AFTER))
