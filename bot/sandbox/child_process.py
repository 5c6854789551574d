"""A child process of the sandbox that ends when the sandbox ends, however that happens."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# Reads the process id, then waits for the end of its input, which comes with the end of the sandbox, by kill -9 too.
# It is started before the child and reads the id afterwards, so that no child ever runs without a watcher.
_WATCHER = 'read -r pid && { read -r _; kill -9 "$pid"; }'


class ChildProcess:
    """A running program, and a shell that kills it when the sandbox is gone.

    Arguments:
        output: the program's standard output, as `subprocess.Popen` takes it.
        errors: the program's standard error.
        directory: the working directory.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: int | IO[bytes],
        errors: int | IO[bytes],
        directory: Path | None = None,
    ) -> None:
        watcher_input, self._lifeline = os.pipe()
        # In a session of its own: Ctrl-C must reach only the sandbox, which then ends both.
        self._watcher = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _WATCHER], stdin=watcher_input, stderr=subprocess.DEVNULL, start_new_session=True
        )
        os.close(watcher_input)
        self.process = subprocess.Popen(  # noqa: S603 (the sandbox starts only its own programs)
            arguments, stdout=output, stderr=errors, env=environment, cwd=directory
        )
        os.write(self._lifeline, f"{self.process.pid}\n".encode())
        self._killing = threading.Lock()

    def kill(self) -> None:
        """Kills the program if it still runs, and returns when it is gone."""
        with self._killing:
            if self._watcher.poll() is None:
                # The watcher first: after the program, its process id may belong to another one.
                self._watcher.kill()
                self._watcher.wait(timeout=10)
                os.close(self._lifeline)
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(timeout=10)
