"""`taskgroup-bot check`: whether everything that `serve` needs is there, one module for each system."""
