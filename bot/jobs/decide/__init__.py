"""Stage 2 of a request: votes and other actions, self approval, reminders."""
