"""The webhooks that Twilio calls."""
