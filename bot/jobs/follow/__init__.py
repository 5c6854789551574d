"""Stage 4 of a request: following the task group until it ends, and pausing it."""
