"""Watching the task groups of each project: lists them from OMS, and stores how they move."""
