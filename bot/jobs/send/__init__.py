"""Stage 3 of a request: reading the keys, and the one PUT."""
