"""Slack's side of an acknowledgement, in a process of its own: the stand-ins' threads are not to be measured with it.

Arguments: the address. Each line that it reads is a command's body; it prints the seconds that the answer took.
"""

from __future__ import annotations

import http.client
import sys
import time
from urllib.parse import urlsplit

from bot.sandbox.slack.signed import signed


def main() -> None:
    address = urlsplit(sys.argv[1])
    connection = http.client.HTTPConnection(address.netloc, timeout=5)
    for line in sys.stdin:
        body = line.strip()
        headers = signed(body)
        begun = time.perf_counter()
        connection.request("POST", address.path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        taken = time.perf_counter() - begun
        assert answer.status == 200, said
        print(taken, flush=True)


if __name__ == "__main__":
    main()
