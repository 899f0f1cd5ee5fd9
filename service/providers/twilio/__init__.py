"""Twilio: sending messages, posting feedback, and checking signatures."""
