"""A sender of django-phone-verify that sends nothing: only checking codes is measured."""

from phone_verify.backends.base import BaseBackend


class SilentBackend(BaseBackend):
    """A backend that sends nothing; the rest is the library's."""

    def send_sms(self, number, message):
        """Send nothing."""

    def send_bulk_sms(self, numbers, message):
        """Send nothing."""
