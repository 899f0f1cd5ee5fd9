"""The first message: one real message through the whole loop, step by step, for `otp-service check --send-to`."""

from service.first_message.failures import StepFailed
from service.first_message.walk import FirstMessage

__all__ = ["FirstMessage", "StepFailed"]
