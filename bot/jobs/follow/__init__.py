"""The stage of a request after the PUT: follows the task group until it ends, and pauses it."""
