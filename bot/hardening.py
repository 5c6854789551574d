"""Keeps what is in the memory of the process out of files and away from other processes.

Secrets in log lines and error texts are left to `bot.redaction`.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

# From linux/prctl.h.
_PR_SET_DUMPABLE = 4


def harden_process() -> None:
    """Protects the memory and the TLS sessions of this process. Call it before anything reads a secret or opens TLS.

    - The process leaves no core dump. On Linux, only root can attach a debugger to it or read its memory.
    - SSLKEYLOGFILE has no effect: Python, urllib3 and OpenSSL would write the keys of TLS sessions to that file.
    """
    os.environ.pop("SSLKEYLOGFILE", None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # Does not fail: 0 is a valid value on every version of Linux.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
