"""What people read in Slack, as pure functions of a request: cards, buttons, forms, replies."""
