"""The Redis client: one connection per node, shared by all concurrent calls. It knows nothing of the service."""
