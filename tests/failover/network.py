"""A network of a test's own, in which packets are dropped without a word: a namespace of Linux, with rules of nftables.

It needs no privileges where the kernel lets users make namespaces. In it each server has an address of its own, from
which it also connects; the test and the service use 127.0.0.1. So the rules tell servers from clients.
"""

import os
import shutil
import subprocess
import sys

from tests.absent import absent

CLIENT = "127.0.0.1"
SERVERS = "127.0.1.0/24"
MARK = "OWN_NETWORK"  # set in the environment of a test that has one
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
RULES = f"""
table ip faults {{
    set cut {{ type ipv4_addr; }}
    set gone {{ type ipv4_addr; }}
    chain input {{
        type filter hook input priority 0;
        ip saddr @cut ip daddr {SERVERS} drop
        ip saddr {SERVERS} ip daddr @cut drop
        ip saddr @gone drop
        ip daddr @gone drop
    }}
}}
"""


def is_own():
    """Whether this process has a network of its own."""
    return MARK in os.environ


def host(place):
    """Return the address of a server: its own one, if the network allows it."""
    return f"127.0.1.{place + 1}" if is_own() else CLIENT


def options(place):
    """Return the options with which a server connects from its address, and accepts others than 127.0.0.1."""
    return ("--bind-source-addr", host(place), "--protected-mode", "no") if is_own() else ()


def run_test(node_id):
    """Run one test by another pytest in a network of its own; fail with its output if it fails."""
    tools = {name: shutil.which(name, path=PATH) for name in ("unshare", "ip", "nft")}
    if not all(tools.values()):
        absent(f"to cut a network, a test needs {', '.join(name for name, found in tools.items() if not found)}")
    ways = ([tools["unshare"], "--net"], [tools["unshare"], "--user", "--map-root-user", "--net"])
    probe = (tools["ip"], "link", "set", "lo", "up")
    enter = next((way for way in ways if not _run(*way, *probe).returncode), None)
    if enter is None:
        absent("this machine lets this user make no network namespace")
    script = f'{tools["ip"]} link set lo up && {tools["nft"]} -f - <<"END" && exec "$@" </dev/null\n{RULES}\nEND\n'
    again = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "", node_id]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ended = _run(*enter, "sh", "-c", script, "sh", *again, env=environment | {MARK: "yes", "PATH": PATH})
    print(ended.stdout, flush=True)
    assert ended.returncode == 0, ended.stdout


def cut_off(server):
    """Drop all packets between a server and the other servers, in both directions; clients still reach it."""
    _nft(f"add element ip faults cut {{ {server.host} }}")


def take_away(server):
    """Drop all packets from and to a server."""
    _nft(f"add element ip faults gone {{ {server.host} }}")


def heal():
    """Drop no packets any more."""
    if is_own():
        _nft("flush set ip faults cut; flush set ip faults gone")


def _run(*command, env=None):
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, env=env, text=True, check=False, **streams)


def _nft(command):
    told = _run("nft", command)
    assert told.returncode == 0, told.stdout
