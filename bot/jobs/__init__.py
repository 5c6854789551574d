"""The work behind Slack: claims due rows, runs the next step of a request, stores the result."""
