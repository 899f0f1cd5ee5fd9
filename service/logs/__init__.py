"""Writing log lines without blocking the event loop."""
