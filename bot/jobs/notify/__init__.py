"""What people are shown: cards and notices, brought up to date from their rows."""
