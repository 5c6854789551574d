"""What Slack shows: cards, notices and forms. All other stages use it."""
