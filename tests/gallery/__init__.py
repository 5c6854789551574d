"""Builds the pages with every sentence that people see: sample requests, calls, rendering."""
