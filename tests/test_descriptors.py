"""The promises of `service.descriptors`: clients get what Redis, files and Twilio leave, and each gets some."""

import pytest

from service.descriptors import RESERVED, share_out


@pytest.mark.parametrize("limit", [0, 16, 64, 128, 256, 1024, 16_384, 65_536])
@pytest.mark.parametrize("connections", [None, 8, 60_000])
@pytest.mark.parametrize(("sends", "confirmations"), [(128, 32), (1, 1), (10_000, 1), (1, 10_000)])
def test_shares_never_come_to_more_than_the_limit(limit, connections, sends, confirmations):
    """All shares plus the reserve fit the limit if it leaves any room; no share is zero or more than requested."""
    shares = share_out(limit, connections=connections, sends=sends, confirmations=confirmations)
    assert 1 <= shares.sends <= sends
    assert 1 <= shares.confirmations <= confirmations
    assert 1 <= shares.connections <= (connections or 4096)
    if limit > RESERVED + 4:
        assert RESERVED + shares.sends + shares.confirmations + shares.connections <= limit


def test_the_usual_limits():
    """The usual limit of 1024 suffices for the defaults; 128 do not, and are shared in halves."""
    usual = share_out(1024, connections=None, sends=128, confirmations=32)
    assert (usual.connections, usual.sends, usual.confirmations, usual.is_enough) == (816, 128, 32, True)
    few = share_out(128, connections=None, sends=128, confirmations=32)
    assert (few.connections, few.sends, few.confirmations, few.is_enough) == (40, 32, 8, False)
    assert not share_out(1024, connections=900, sends=128, confirmations=32).is_enough
