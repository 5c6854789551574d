"""Requests, votes, policy and the next step: pure, and the ground floor."""
