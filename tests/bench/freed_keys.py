"""Counts copies of source and destination keys in the memory of a bot after a PUT: `python -m tests.bench.freed_keys`.

Needs root on Linux, and takes a quarter of an hour. Prints figures. There is no limit: Python cannot erase a string.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bot.sandbox.huawei.credentials import DESTINATION_SK, SOURCE_SK
from bot.sandbox.slack.ids import ALICE, CAROL
from bot.sandbox.system import Sandbox
from tests.support.sandbox import create_request, put_calls, wait_for_accepted

ROUNDS = 3
IDLE_SECONDS = (0, 1, 10, 60, 600)
COMMANDS = (0, 1, 10, 100)
# The middle of the keys: freeing memory overwrites its beginning.
KEY = re.compile(b"|".join(key[8:30].encode() for key in (SOURCE_SK, DESTINATION_SK)))
CHUNK = 1 << 16


def copies(pid: int) -> int:
    """How many whole or partial copies of the keys are in the writable memory of a process."""
    found = b""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in re.findall(r"^(\w+)-(\w+) rw", maps, re.MULTILINE):
            for address in range(int(start, 16), int(end, 16), CHUNK):
                # Memory may be returned to the system meanwhile. Chunks overlap by the length of a key.
                with suppress(OSError):
                    memory.seek(address)
                    found += b"\n".join(KEY.findall(memory.read(CHUNK + 30)))
    return len(KEY.findall(found))


def measure(steps: tuple[int, ...], unit: str, step: Callable[[Sandbox, int], object]) -> None:
    """Approves one request in a new sandbox, and counts the copies before the approval and after each step."""
    sandbox = Sandbox().open()
    try:
        bot = sandbox.start_bot()
        card = create_request(sandbox)
        figures = [copies(bot.pid)]
        sandbox.people.press(CAROL, card, "approve")
        sandbox.wait_until(lambda: bool(put_calls(sandbox)))
        figures.append(copies(bot.pid))
        wait_for_accepted(sandbox, card)
        for before, after in zip((0, *steps), steps, strict=False):
            step(sandbox, after - before)
            figures.append(copies(bot.pid))
        print(f"before the approval, at the PUT, and {steps} {unit} after the answer: {figures}", flush=True)
    finally:
        sandbox.close()


def type_commands(sandbox: Sandbox, count: int) -> None:
    for _ in range(count):
        sandbox.slack.api.reset_rate_limits()
        sandbox.people.type(ALICE, "list")


if __name__ == "__main__":
    for _ in range(ROUNDS):
        measure(COMMANDS, "commands", type_commands)
    for limit in range(1, ROUNDS + 1):
        # Only the last round waits for all of the time.
        seconds = IDLE_SECONDS if limit == ROUNDS else IDLE_SECONDS[:3]
        measure(seconds, "idle seconds", lambda _, more: time.sleep(more))
