"""Requests, votes, policy and the next step as pure functions and values, without I/O."""
