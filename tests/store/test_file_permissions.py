"""Other users of the machine cannot read the files of a SQLite database, however they were created."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.store.database import open_store

OPEN = "import sys; store = open_store('sqlite:///' + sys.argv[1])"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666, 0o604])
def test_files_that_other_users_can_access_are_made_private_at_the_start(
    tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "bot.sqlite"
    killed = subprocess.run(
        [sys.executable, "-c", f"import os\nfrom bot.store.database import open_store\n{OPEN}\nos._exit(9)", str(path)],
        check=False,
    )
    assert killed.returncode == 9
    files = [path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", ".lock"))]
    for file in files:
        file.chmod(mode)
    store = open_store(f"sqlite:///{path}")
    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * 4
    store.close()
    for file in files:
        assert f"other users could access {file}; now only the user of the bot can" in caplog.messages


def test_private_files_stay_as_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}").close()
    assert caplog.messages == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_that_others_can_access_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite"
    open_store(f"sqlite:///{path}").close()
    os.chown(path, 65534, 65534)
    path.chmod(0o666)
    # Without this capability, root can change the mode of its own files only.
    command = ["setpriv", "--bounding-set=-fowner", "--inh-caps=-fowner", sys.executable, "-c"]
    command += [f"from bot.store.database import open_store\n{OPEN}", str(path)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (
        f"CannotOpenDatabase: other users can access {path}, and the bot can't change that, because another user "
        f"owns it. As that user, run chmod 600 {path}" in refused.stderr
    )
    assert path.stat().st_mode & 0o777 == 0o666
