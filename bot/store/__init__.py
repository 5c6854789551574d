"""Rows that outlive the process: tables, claims, the audit chain."""
