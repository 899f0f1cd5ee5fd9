"""Mutants of the Lua scripts: each is one file of `lua/` with one change, made from its syntax tree.

The tree determines what can be changed, so renaming or moving code needs no change here. `find` selects one mutant by
its kind and a pattern of the changed code, which names Redis fields but no local variables; it fails unless exactly
one mutant matches. Changes that no test could detect, or that would run forever, are left out: see `_is_left_out`.
"""

import re
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tree_sitter_lua
from tree_sitter import Language, Parser

from service.store.fields import FIELDS
from service.store.scripts import LUA, load_scripts, read_scripts

_PARSER = Parser(Language(tree_sitter_lua.language()))
_WRITES = re.compile(r"\('(HSET|HSETNX|HDEL|HINCRBY|ZADD|ZREM|DEL|EXPIRE|PEXPIRE)'")
_BOUNDARIES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*"}
_EXTREMES = {"math.max": "math.min", "math.min": "math.max"}
_FLAGS = {"'NX'", "'XX'", "'GT'", "'LT'"}
_CONDITIONAL = ("if_statement", "elseif_statement", "while_statement")


@dataclass(frozen=True)
class Mutant:
    """One file of `lua/` with the bytes from `start` to `end` replaced.

    `code` is the replaced text, and `statement` the innermost statement that contains it, each on one line.
    """

    file: str
    ordinal: int
    kind: str
    code: str
    statement: str
    start: int
    end: int
    instead: str

    @property
    def name(self):
        """The name of the mutant: its file and its index among the mutants of the file."""
        return f"{self.file}-{self.ordinal}"

    def __str__(self):
        """Describe the change in one line."""
        return f"{self.name}: {self.kind}: {self.code}  =>  {self.instead or 'nothing'}"

    def scripts(self):
        """Load all scripts with this change; scripts that include the file have it, too."""
        return _changed(
            {self.file: text_of(self.file)[: self.start] + self.instead.encode() + text_of(self.file)[self.end :]}
        )


def _changed(texts):
    with tempfile.TemporaryDirectory(prefix="otp-mutant-") as name:
        folder = Path(name)
        for file in files():
            (folder / f"{file}.lua").write_bytes(texts.get(file, text_of(file)))
        return read_scripts(folder, FIELDS)


def files():
    """Return the names of the files of `lua/`, included ones, too."""
    return sorted(file.name.removesuffix(".lua") for file in LUA.iterdir() if file.name.endswith(".lua"))


def text_of(file):
    """Read one file of `lua/`."""
    return (LUA / f"{file}.lua").read_bytes()


def find(file, kind, pattern, statement=""):
    """Return the one mutant of this kind whose changed code and surrounding statement match the patterns."""
    found = [
        mutant
        for mutant in mutants_of(file)
        if mutant.kind == kind and re.search(pattern, mutant.code) and re.search(statement, mutant.statement)
    ]
    assert len(found) == 1, f"{len(found)} mutants {kind!r} of {file} match {pattern!r}: {[one.code for one in found]}"
    return found[0]


def put_before(file, pattern, step):
    """Return the mutant that inserts a step before the first statement that matches the pattern."""
    statements = _PARSER.parse(text_of(file)).root_node.named_children
    first = next(node for node in statements if node.type != "comment" and re.search(pattern, _code(node)))
    return Mutant(file, 0, "put", "", "", first.start_byte, first.start_byte, f"{step}\n")


@cache
def mutants_of(file):
    """Return all mutants of one file."""
    return tuple(mutate(file, text_of(file)))


def mutate(file, text):
    """Return all mutants of a text."""
    changes = [
        (node.prev_sibling.start_byte if kind == "flag" else node.start_byte, node.end_byte, kind, instead, node)
        for node in _walk(_PARSER.parse(text).root_node)
        for kind, instead in _changes(node)
        if not _is_left_out(node, kind)
    ]
    for ordinal, (start, end, kind, instead, node) in enumerate(sorted(changes, key=lambda change: change[:3]), 1):
        statement = next(one for one in (node, *_above(node)) if one.parent.type in {"chunk", "block"})
        yield Mutant(file, ordinal, kind, _in_a_line(text[start:end]), _in_a_line(statement.text), start, end, instead)


def _in_a_line(text):
    return " ".join(text.decode().split())


def _is_left_out(node, kind):
    """Return whether a change is undetectable (a boundary that is hit to the millisecond) or endless (a loop's end)."""
    if kind == "boundary" and "_ms" in _code(node):
        return True
    if any(above.type == "variable_declaration" and _is_constant(above) for above in _above(node)):
        return kind != "halved"
    loop = next((above for above in _above(node) if above.type == "while_statement"), None)
    if loop is None or kind == "boundary":
        return False
    condition = loop.child_by_field_name("condition")
    if condition.start_byte <= node.start_byte < condition.end_byte:
        return kind != "false"
    step = next((one for one in [node, *_above(node)] if one.type == "assignment_statement"), None)
    return step is not None and _code(step.named_children[0]) in _code(condition)


def _above(node):
    while node.parent is not None:
        node = node.parent
        yield node


def _is_constant(declaration):
    return re.match(r"local [A-Z][A-Z_]+ =", _code(declaration)) is not None


def _code(node):
    return node.text.decode()


def with_other_locals(text):
    """Return a script in which local variables, except those of its functions, have other names."""
    nodes = list(_walk(_PARSER.parse(text).root_node))
    lists = [node for node in nodes if node.type == "variable_list" and _is_local(node)]
    names = {name.text for node in lists for name in node.named_children}
    uses = [node for node in nodes if node.type == "identifier" and node.text in names and not _is_field(node)]
    for node in sorted(uses, key=lambda node: -node.start_byte):
        prefix = b"X_" if node.text.isupper() else b"x_"
        text = text[: node.start_byte] + prefix + text[node.start_byte :]
    return text


def _is_local(node):
    return any(above.type == "variable_declaration" for above in (node.parent, node.parent.parent))


def _is_field(node):
    return node == node.parent.child_by_field_name("field") or (
        node.parent.type == "field" and node == node.parent.child_by_field_name("name")
    )


def _walk(node):
    yield node
    for child in node.named_children:
        yield from _walk(child)


def _changes(node):
    """Yield the changes of one node: (kind, replacement)."""
    maker = _MAKERS.get(node.type)
    if maker is not None:
        yield from maker(node)
    if _is_condition(node):
        yield "false", "false"
        if node.parent.type != "while_statement":
            yield "true", "true"
    if node.type in {"identifier", "bracket_index_expression"} and _is_written(node):
        yield "argument", "1"


def _is_condition(node):
    return (
        node.parent is not None
        and node.parent.type in _CONDITIONAL
        and node == node.parent.child_by_field_name("condition")
    )


def _is_written(node):
    """Return whether a node is a value or a field that a command writes: an argument after its key."""
    if node.parent.type != "arguments" or not _WRITES.search(_code(node.parent.parent)):
        return False
    return node not in node.parent.named_children[:2]


def _of_call(node):
    code = _code(node)
    if node.parent.type in {"chunk", "block"}:
        yield "drop", ""
    elif _WRITES.search(code):
        yield "unwritten", _read_instead(node)
    if code.startswith(tuple(_EXTREMES)):
        yield "extreme", _EXTREMES[code[:8]] + code[8:]


def _read_instead(call):
    """Return a read that replies like a write, without writing."""
    arguments = [_code(argument) for argument in call.child_by_field_name("arguments").named_children]
    if arguments[0] == "'HINCRBY'":
        _, key, field, more = arguments
        return f"((tonumber(redis.call('HGET', {key}, {field})) or 0) + {more})"
    return "1"


def _of_assignment(node):
    if node.parent.type in {"chunk", "block"}:
        yield "drop", ""


def _of_binary(node):
    left, operator, right = node.children
    word = operator.type
    if word in {"and", "or"}:
        yield "left", _code(left)
        yield "right", _code(right)
    elif word in _BOUNDARIES:
        yield ("boundary", f"{_code(left)} {_BOUNDARIES[word]} {_code(right)}")
    elif word in _ARITHMETIC and not _is_next_place(node):
        yield "arithmetic", f"{_code(left)} {_ARITHMETIC[word]} {_code(right)}"
    elif word == ".." and _code(left).startswith("SEND.") and right.type == "identifier":
        yield "first", f"{_code(left)} .. 1"


def _is_next_place(node):
    """Return whether a sum is the index of the next list element, as in `list[i + 1]`: every change is detected."""
    return node.parent.type == "bracket_index_expression" and re.fullmatch(r"#?\w+ \+ \d", _code(node))


def _of_unary(node):
    if node.children[0].type == "not":
        yield "unnot", _code(node.children[1])


def _of_number(node):
    """Change numbers that are written, returned or assigned; others only set a granularity."""
    is_value = node.parent.type == "expression_list" and node.parent.parent.parent.type != "variable_declaration"
    if is_value or _is_written(node):
        yield "number", str(int(_code(node)) + 1)


def _of_string(node):
    if _code(node) in _FLAGS and node.parent.type == "arguments":
        yield "flag", ""  # with the preceding comma


def _of_values(node):
    if _is_constant(node.parent.parent):
        yield "halved", f"math.floor(({_code(node)}) / 2)"


_MAKERS = {
    "function_call": _of_call,
    "assignment_statement": _of_assignment,
    "binary_expression": _of_binary,
    "unary_expression": _of_unary,
    "number": _of_number,
    "string": _of_string,
    "expression_list": _of_values,
}


@cache
def scripts_with(file):
    """Return the names of the scripts that a change of this file changes: itself, or all that include it."""
    mark = b"\n-- a mark\n"
    marked, plain = _changed({file: text_of(file) + mark}), load_scripts()
    return frozenset(name for name, script in marked.items() if script.text != plain[name].text)
