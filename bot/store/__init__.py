"""The database: its tables, the job queues in them, and the audit chain."""
