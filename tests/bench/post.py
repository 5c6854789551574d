"""Posts commands like Slack and measures the answers, in its own process, apart from the threads of the sandbox.

Argument: the URL. Reads the body of a command from each line of its input, and prints the seconds until the answer.
"""

from __future__ import annotations

import http.client
import sys
import time
from urllib.parse import urlsplit

from bot.sandbox.slack.http_delivery import signed_headers


def main() -> None:
    address = urlsplit(sys.argv[1])
    connection = http.client.HTTPConnection(address.netloc, timeout=5)
    for line in sys.stdin:
        body = line.strip()
        headers = signed_headers(body)
        started = time.perf_counter()
        connection.request("POST", address.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        seconds = time.perf_counter() - started
        assert answer.status == 200, content
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
