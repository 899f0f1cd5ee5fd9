"""Requests, responses and routing, the same for every wire format."""
