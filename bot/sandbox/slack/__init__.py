"""The Slack stand-in: a workspace, its Web API, its deliveries to the app, and what users do in it."""
