"""What is counted for Prometheus. Names and labels only: no id, no bucket, no person is a label."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ACCEPTED = Counter("taskgroup_bot_taken_total", "What Slack sent and was written down", ["kind"])
NOT_STORED = Counter("taskgroup_bot_not_taken_total", "What Slack sent and could not be written down")
STATE_CHANGES = Counter("taskgroup_bot_turns_total", "Requests that came to a state", ["state"])
JOB_SECONDS = Histogram("taskgroup_bot_step_seconds", "Time that a piece of work took", ["queue"])
BUGS = Counter("taskgroup_bot_faults_total", "Work that ended in a fault of the bot", ["queue"])
CONNECTED = Gauge("taskgroup_bot_slack_connected", "1 while Slack can reach the bot")
