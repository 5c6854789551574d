"""Watches the task groups of each project: lists them from OMS, stores how they move, and posts alerts about them."""
