"""Stage 2 of a request: votes and other actions, the deny form, self approval, reminders."""
