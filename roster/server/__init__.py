"""The ASGI server: its entry point, its threads, and what surrounds every request."""
