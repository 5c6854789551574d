"""A Vault server for the tests of each file in this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.sandbox.call_log import CallLog
from bot.sandbox.vault import SandboxVault


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxVault]:
    vault = SandboxVault(CallLog()).start()
    yield vault
    vault.stop()
