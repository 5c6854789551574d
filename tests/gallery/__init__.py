"""Builds ui_gallery.md and terminal_gallery.md, the pages with every sentence that people see: sample requests, calls, rendering."""
