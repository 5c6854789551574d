"""Stage 1 of a request: preflight, creating the request, and answers to list and status."""
