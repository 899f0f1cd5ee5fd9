"""A wrong clock on the app host (F14): processes an hour ahead and an hour behind agree on every time and limit."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

NUMBER = "+14155550123"
SHIFT = """
import time
true_time, true_time_ns = time.time, time.time_ns
time.time = lambda: true_time() + {seconds}
time.time_ns = lambda: true_time_ns() + {seconds} * 1_000_000_000
"""


@pytest.fixture
async def skewed(start, launch, tmp_path):
    """Run two processes on one Redis, one with its clock an hour ahead, one an hour behind."""
    running = await start(otp_worker=False)
    processes = []
    for name, seconds in (("ahead", 3600), ("behind", -3600)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SHIFT.format(seconds=seconds))
        limits = {"OTP_LIMIT_NUMBER": "2/10m", "OTP_LIMIT_PREFIX": "3/1h"}
        processes.append(await launch(running, python_path=[folder], **limits))
    return processes


def instant(text):
    """Return an instant of the API, in seconds."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.slow
async def test_a_wrong_clock_changes_no_time_and_no_limit(skewed, redis, eventually):
    """F14, promise 11: creation, expiry, TTL, verdict, limits and confirmations follow Redis's clock only."""
    ahead, behind = (process.client for process in skewed)
    hour_off = []
    for client in (ahead, behind):
        date = (await client.call("GET", "/livez"))[2]["Date"]
        hour_off.append(round((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds() / 3600))
    assert hour_off == [1, -1], "the control: the clocks are wrong"

    first, second = await ahead.issue(ttl_seconds=300), await behind.issue(ttl_seconds=300)
    for issued in (first, second):
        assert abs(instant(issued["created_at"]) - redis.time()[0]) < 30
        assert instant(issued["expires_at"]) - instant(issued["created_at"]) == 300
        assert 3600 < redis.ttl(f"otp:{{{issued['id'][3]}}}:v:{issued['id']}") <= 300 + 3600
    for client in (ahead, behind):
        status, problem, _ = await client.call("POST", "/v1/verifications", {"to": NUMBER})
        assert (status, 0 < problem["retry_after"] <= 600) == (429, True)
    await ahead.issue("+14155550124")
    status, problem, _ = await behind.call("POST", "/v1/verifications", {"to": "+14155550125"})
    assert (status, 0 < problem["retry_after"] <= 3600 * 1.1) == (429, True)

    codes = ahead.codes()
    assert (await behind.verify(first["id"], codes[0]))["verdict"] == "approved"
    assert (await ahead.verify(second["id"], codes[1]))["verdict"] == "approved"
    assert await eventually(lambda: len(ahead.confirmed()) == 2)
    assert all(message.feedback_posts == 1 for message in ahead.messages())
