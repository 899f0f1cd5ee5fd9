"""The promise of `service.core.instants`."""

from service.core.instants import instant


def test_an_instant_is_rfc_3339_in_utc() -> None:
    """Instants are written to the millisecond with a Z."""
    assert instant(0) == "1970-01-01T00:00:00.000Z"
    assert instant(1_767_225_600_123) == "2026-01-01T00:00:00.123Z"
