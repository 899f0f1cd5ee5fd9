"""The version of the service, from the package's metadata: `pyproject.toml` is the only place that sets it."""

from importlib.metadata import version

VERSION = version("otp-service")
