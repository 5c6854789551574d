"""Slack: Web API clients, user look-ups, posting, and the two transports."""
