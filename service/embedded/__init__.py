"""The embedded Valkey server, for one machine without a Redis of its own."""
