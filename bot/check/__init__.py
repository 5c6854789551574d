"""`taskgroup-bot check`: checks everything that `serve` needs. One module for each system."""
