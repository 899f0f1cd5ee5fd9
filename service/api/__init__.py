"""The endpoints: each calls the core once and makes a response of the result. The rules are in `core`."""
