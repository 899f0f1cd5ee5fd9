"""A sender of django-phone-verify that sends nothing: what is measured is checking codes."""

from phone_verify.backends.base import BaseBackend


class SilentBackend(BaseBackend):
    """Everything else is the library's own."""

    def send_sms(self, number, message):
        """Send nothing."""

    def send_bulk_sms(self, numbers, message):
        """Send nothing."""
