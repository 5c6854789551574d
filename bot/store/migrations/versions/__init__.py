"""The schema, one file for each revision."""
