"""What Slack sends, in Bolt's own terms: each payload is stored in the inbox and acknowledged."""
