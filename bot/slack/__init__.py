"""What people see and who they are: cards, people, posting, and the two ways in from Slack."""
