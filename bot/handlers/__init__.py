"""What Slack sends: its shape, a row in the inbox, the ack. The top floor."""
