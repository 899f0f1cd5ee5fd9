"""Settings of the property tests: no deadline, because a busy machine does not break the rule under test."""

from hypothesis import settings

settings.register_profile("core", deadline=None, print_blob=True)
settings.load_profile("core")
