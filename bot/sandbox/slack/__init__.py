"""The Slack stand-in: its world, its Web API, its socket, and what people do in it."""
