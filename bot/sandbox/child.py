"""A process of the sandbox that never outlives it, however the sandbox ends."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# What it reads ends when the sandbox does, by kill -9 too. It waits to be told whom to watch, so that there is a
# watcher before there is anything to watch.
_WATCH = 'read -r pid && { read -r _; kill -9 "$pid"; }'


class Child:
    """A running program, and a shell that ends it when the sandbox is gone.

    Arguments:
        output: where what it prints goes, as `subprocess.Popen` takes it.
        errors: the same for its standard error.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: int | IO[bytes],
        errors: int | IO[bytes],
        directory: Path | None = None,
    ) -> None:
        watched, self._active_claims = os.pipe()
        # In a session of its own: Ctrl-C is for the sandbox, which then ends both.
        self._watcher = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _WATCH], stdin=watched, stderr=subprocess.DEVNULL, start_new_session=True
        )
        os.close(watched)
        self.process = subprocess.Popen(  # noqa: S603 (programs that we ship with)
            arguments, stdout=output, stderr=errors, env=environment, cwd=directory
        )
        os.write(self._active_claims, f"{self.process.pid}\n".encode())
        self._ending = threading.Lock()

    def end(self) -> None:
        """Kills it, if it still runs, and returns when it is gone."""
        with self._ending:
            if self._watcher.poll() is None:
                # First: the number that it would kill may soon belong to somebody else.
                self._watcher.kill()
                self._watcher.wait(timeout=10)
                os.close(self._active_claims)
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(timeout=10)
