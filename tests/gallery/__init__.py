"""Builds tests/ui_gallery.md, the page with every sentence that people see: sample requests, calls, rendering."""
