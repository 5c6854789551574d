"""Stage 1 of a request: preflight, creating the request, the request form, and answers to `list` and `status`."""
