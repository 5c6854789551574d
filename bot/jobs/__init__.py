"""The jobs: the worker claims rows that are due, and each stage of a request does its part of the work."""
