"""The endpoints: HTTP in and out, and no rules. Each request becomes one call of the core, each outcome one answer."""
