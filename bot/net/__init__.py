"""HTTP in both directions: sessions with deadlines, and the WSGI server."""
