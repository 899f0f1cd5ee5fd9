"""The promises of `service.core.limits`: a policy is parsed exactly as the scripts count it, or refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.limits import UNLIMITED, Limits, parse_limits

UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

parts = st.tuples(st.integers(1, 999_999_999), st.integers(1, 9_999), st.sampled_from("smhd"))
# Windows of equal length are tested separately below.
policies = st.lists(parts, max_size=5, unique_by=lambda part: part[1] * UNIT_MS[part[2]])
blanks = st.text(" \t", max_size=2)


def test_the_default_of_a_number_reads_as_written() -> None:
    """`1/30s,5/10m,10/1d` is one in half a minute, five in ten minutes, ten in a day."""
    assert parse_limits("1/30s,5/10m,10/1d").windows == ((1, 30_000), (5, 600_000), (10, 86_400_000))


@given(policies)
def test_every_policy_is_read_in_its_order(policy: list[tuple[int, int, str]]) -> None:
    """Each part becomes its own window in milliseconds, in the order written."""
    text = ",".join(f"{most}/{span}{unit}" for most, span, unit in policy)
    assert parse_limits(text).windows == tuple((most, span * UNIT_MS[unit]) for most, span, unit in policy)


@given(policies)
def test_the_scripts_read_the_same_windows(policy: list[tuple[int, int, str]]) -> None:
    """The text for the scripts, parsed with their own pattern, has the same windows."""
    limits = parse_limits(",".join(f"{most}/{span}{unit}" for most, span, unit in policy))
    read = tuple((int(most), int(window_ms)) for most, window_ms in re.findall(r"(\d+):(\d+)", limits.policy))
    assert read == limits.windows
    assert all(window_ms < 2**53 for _, window_ms in read)  # Lua counts in doubles


@given(parts.filter(lambda part: part[1] * UNIT_MS[part[2]] != 30_000), blanks, blanks)
def test_spaces_between_parts_are_ignored(part: tuple[int, int, str], before: str, after: str) -> None:
    """A policy may contain spaces after its commas."""
    most, span, unit = part
    written = f"{before}{most}/{span}{unit}{after},{before}1/30s{after}"
    assert parse_limits(written) == Limits(((most, span * UNIT_MS[unit]), (1, 30_000)))


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_an_empty_policy_is_no_limit(text: str) -> None:
    """An empty policy switches a limit off and is false."""
    assert parse_limits(text) == UNLIMITED
    assert not parse_limits(text)
    assert parse_limits(text).policy == ""


def test_a_policy_is_true() -> None:
    """A policy with a window is true."""
    assert parse_limits("1/1s")


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "5/",
        "/10m",
        "5/10",
        "5/m",
        "10m",
        "5/10x",
        "5/10M",
        "5/10ms",
        "5 / 10m",
        "5/10 m",
        "5:10m",
        "5/10m/1h",
        "0/10m",
        "5/0m",
        "-5/10m",
        "+5/10m",
        "05/10m",
        "5/010m",
        "5.5/10m",
        "1e3/1d",
        "1_000/1d",
        "0x5/10m",
        "five/10m",
        "1000000000/1d",
        "5/10000d",
        "5/10m;10/1d",
        "5/10m 10/1d",
        "5/10m,x",
        "5/10m,0/1d",
        "off",
        "none",
        "unlimited",
        "\uff15/10m",
        "5/\u0661\u0660m",
        "\u0665/10m",
        "5\u204410m",
        "5/10m\0",
        "5/1\n0m",
    ],
)
def test_an_invalid_policy_is_refused(text: str) -> None:
    """Typing mistakes, zeros, non-ASCII digits and ambiguous values stop the start with a message."""
    with pytest.raises(ValueError, match="is not a limit; write it like 5/10m"):
        parse_limits(text)


@pytest.mark.parametrize("text", [",", " , ", ",,,"])
def test_a_typing_mistake_does_not_switch_a_limit_off(text: str) -> None:
    """Only an empty value switches a limit off: commas without a limit between them are refused."""
    with pytest.raises(ValueError, match="is not a limit"):
        parse_limits(text)


@pytest.mark.parametrize("text", ["5/10m,5/10m", "5/10m,10/600s", "100/1d,50/24h"])
def test_no_window_is_counted_twice(text: str) -> None:
    """Two limits for one window are refused or merged: the store keeps one count per window."""
    try:
        windows = parse_limits(text).windows
    except ValueError:
        return
    assert len({window_ms for _, window_ms in windows}) == len(windows)


@given(st.text("0123456789/smhd, \u0661\uff15", max_size=12))
def test_every_text_is_a_policy_or_a_refusal(text: str) -> None:
    """No text raises anything but `ValueError`, and no window is empty or unbounded."""
    try:
        limits = parse_limits(text)
    except ValueError:
        return
    assert all(most >= 1 and 1_000 <= window_ms <= 9_999 * UNIT_MS["d"] for most, window_ms in limits.windows)
