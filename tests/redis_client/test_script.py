"""Prepared scripts: whatever the words are, the bytes are those of a call that is packed at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.redis_client import PreparedScript, Script
from service.redis_client.resp import pack
from tests.redis_client.servers import cluster, opened, server

ECHO = Script("echo", "#!lua\n-- 100 %d %b\nreturn {KEYS[1], KEYS[2], unpack(ARGV)}")
WORDS = st.one_of(st.binary(max_size=20), st.text(max_size=20), st.integers(-1000, 1000), st.just(b"%"), st.just("%b"))
# Each word with whether it is prepared.
MARKED = st.lists(st.tuples(WORDS, st.booleans()), max_size=8)


def as_bytes(word):
    return word if isinstance(word, bytes) else str(word).encode()


@given(MARKED, MARKED, st.lists(WORDS, max_size=4))
def test_a_prepared_call_has_the_bytes_of_a_plain_one(keys, args, further):
    """Empty words, line breaks, percent signs and any bytes: both calls are the same, by SHA and with the text."""
    prepared = PreparedScript(
        ECHO, *([word if is_kept else None for word, is_kept in marked] for marked in (keys, args))
    )
    differing = [as_bytes(word) for word, is_kept in (*keys, *args) if not is_kept]
    words = (len(keys), *(word for word, _ in (*keys, *args)), *further)
    assert prepared.call(differing, further) == pack((b"EVALSHA", ECHO.sha, *words))
    assert prepared.call_with_text(differing, further) == pack((b"EVAL", ECHO.text, *words))


@pytest.mark.parametrize("given_words", [[], [b"one", b"two"]])
def test_too_few_or_too_many_words_are_refused(given_words):
    """A call with another number of words than was prepared is never packed: Redis would read it as something else."""
    prepared = PreparedScript(ECHO, ["kept", None], [])
    with pytest.raises(TypeError):
        prepared.call(given_words)


async def test_a_node_that_does_not_know_the_script_gets_its_text(tmp_path):
    """A prepared script runs on a fresh server, and again after SCRIPT FLUSH."""
    prepared = PreparedScript(ECHO, ["{a}1", None], ["kept", None])
    with server(tmp_path / "redis") as node:
        async with opened(node.url) as redis:
            for _ in range(2):
                answer = await redis.run_prepared(prepared, "{a}1", [b"{a}2", b"given"], ["more"])
                assert answer == [b"{a}1", b"{a}2", b"kept", b"given", b"more"]
                node.admin.script_flush()


async def test_a_cluster_runs_it_on_the_node_of_its_key(tmp_path):
    """Calls of a prepared script find the node that holds their keys, and no call is redirected."""
    prepared = PreparedScript(ECHO, [None, None], [])
    with cluster(tmp_path, (0, 8191), (8192, 16383)) as nodes:
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        async with opened(url) as redis:
            await redis.ping()
            for number in range(16):
                one, two = f"{{{number:x}}}1", f"{{{number:x}}}2"
                answer = await redis.run_prepared(prepared, one, [one.encode(), two.encode()])
                assert answer == [one.encode(), two.encode()]
        assert all("MOVED" not in str(node.admin.info("errorstats")) for node in nodes)
