"""The metrics for Prometheus. No id, bucket or person is a label."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ACCEPTED = Counter("taskgroup_bot_accepted_total", "Messages from Slack that were stored", ["kind"])
NOT_STORED = Counter("taskgroup_bot_not_stored_total", "Messages from Slack that were not stored in time")
STATE_CHANGES = Counter("taskgroup_bot_state_changes_total", "Changes of a request's state, by new state", ["state"])
JOB_SECONDS = Histogram("taskgroup_bot_job_seconds", "Time that a job took", ["queue"])
BUGS = Counter("taskgroup_bot_bugs_total", "Jobs that ended in an unexpected exception", ["queue"])
FOREIGN_ROWS = Counter(
    "taskgroup_bot_foreign_rows_total",
    "Rows that had no effect because the bot did not write them, or with an unknown key",
    ["table", "why"],
)
SWEPT_AT = Gauge(
    "taskgroup_bot_sweep_timestamp_seconds", "When the task groups of a project were last listed", ["project"]
)
CONNECTED = Gauge("taskgroup_bot_slack_connected", "1 while Slack can reach the bot, otherwise 0")
