"""RESP2: any nesting of replies, split anywhere, is parsed; other bytes are refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis._parsers import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, NoScriptError, RedisError, ResponseError

from service.redis_client.resp import Parser, ProtocolError, pack

LINES = st.binary(max_size=20).filter(lambda line: b"\r" not in line and b"\n" not in line)
ITEMS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=40),
    LINES.map(lambda line: ("status", line)),
    st.sampled_from(["ERR no", "NOSCRIPT No matching script.", "READONLY You can't write", "WRONGTYPE x"]).map(
        lambda text: ("error", text)
    ),
)
TREES = st.recursive(ITEMS, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def written(tree):
    """Encode a tree as a server does."""
    match tree:
        case None:
            return b"$-1\r\n"
        case ("status", line):
            return b"+%b\r\n" % line
        case ("error", text):
            return b"-%b\r\n" % text.encode()
        case int():
            return b":%d\r\n" % tree
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(tree), tree)
        case _:
            return b"*%d\r\n%b" % (len(tree), b"".join(map(written, tree)))


def read(tree):
    """Return what the parser should return for a tree; errors are compared by type and text."""
    match tree:
        case ("status", line):
            return line
        case ("error", text):
            return repr(BaseParser.parse_error(text)) + str(BaseParser.parse_error(text))
        case list():
            return [read(item) for item in tree]
    return tree


def plain(reply):
    if isinstance(reply, RedisError):
        return repr(reply) + str(reply)
    return [plain(item) for item in reply] if isinstance(reply, list) else reply


@given(st.lists(TREES, max_size=5), st.data())
def test_replies_split_anywhere_are_parsed_the_same(trees, data):
    """Wherever the network splits what the server sends, the parser returns the same replies in the same order."""
    sent = b"".join(map(written, trees))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=10)))
    parser = Parser()
    replies = []
    for start, stop in itertools.pairwise([0, *cuts, len(sent)]):
        replies += parser.feed(sent[start:stop])
    assert [plain(reply) for reply in replies] == [read(tree) for tree in trees]


@given(st.lists(TREES, min_size=1, max_size=3))
def test_a_reply_is_returned_with_its_last_byte(trees):
    """Fed byte by byte, the parser returns a reply with its last byte, neither earlier nor later."""
    parser = Parser()
    for tree in trees:
        *before, last = [parser.feed(bytes([byte])) for byte in written(tree)]
        assert not any(before)
        assert [plain(reply) for reply in last] == [read(tree)]


@given(st.binary(max_size=200))
def test_other_bytes_are_refused_or_incomplete(noise):
    """No bytes make the parser raise an error other than ProtocolError."""
    parser = Parser()
    try:
        for byte in noise:
            parser.feed(bytes([byte]))
    except ProtocolError:
        with pytest.raises(ProtocolError):
            Parser().feed(noise + b"\r\n")


@given(st.lists(st.one_of(st.binary(), st.text(), st.integers()), min_size=1))
def test_a_packed_command_is_a_list_of_strings(words):
    """Bytes, strings and numbers reach Redis unchanged, each as one argument."""
    expected = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    assert Parser().feed(pack(words)) == [expected]


@pytest.mark.parametrize("word", [None, True, ["x"], bytearray(b"x")])
def test_arguments_of_other_types_are_refused(word):
    """An argument of any other type is a TypeError before anything is sent."""
    with pytest.raises(TypeError, match="must be str, int"):
        pack(["SET", word])


def test_errors_are_those_of_redis_py():
    """An error reply is an exception of redis-py; all of them are ResponseErrors or ConnectionErrors."""
    moved, unknown, plain_error = Parser().feed(b"-MOVED 3999 127.0.0.1:6381\r\n-NOSCRIPT No\r\n-ERR oh\r\n")
    assert isinstance(moved, MovedError)
    assert (moved.slot_id, moved.host, moved.port) == (3999, "127.0.0.1", 6381)
    assert isinstance(unknown, NoScriptError)
    assert type(plain_error) is ResponseError
    classes = [kind for kind in BaseParser.EXCEPTION_CLASSES.values() if isinstance(kind, type)]
    classes += BaseParser.EXCEPTION_CLASSES["ERR"].values()
    assert all(issubclass(kind, ResponseError | RedisConnectionError) for kind in classes)


def test_a_long_string_in_small_pieces_is_parsed_in_linear_time():
    """10 MB in pieces of 1 KB are parsed in time; copying all bytes at each piece would copy 50 GB."""
    text = b"x" * 10_000_000
    sent = b"$%d\r\n%b\r\n" % (len(text), text)
    parser = Parser()
    replies = [reply for start in range(0, len(sent), 1000) for reply in parser.feed(sent[start : start + 1000])]
    assert replies == [text]
