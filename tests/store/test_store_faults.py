"""`service.store.faults`: each fault of a real server is reported with its cause and its fix."""

import asyncio
import contextlib
import re
import shutil
import socket
import subprocess
import threading

import pytest
import redis as redis_py
import uvloop
from redis.exceptions import ResponseError

from service.core.store_health import StoreCause
from service.redis_client import WaitPolicy
from service.redis_client.redis_py import error_of_reply
from service.store.faults import FIXES, fault_of
from service.store.health import RedisHealth, commands_of
from service.store.scripts import Scripts, load_scripts
from tests.absent import absent
from tests.free_ports import free_port
from tests.redis_client import servers
from tests.redis_client.proxy import Proxy
from tests.redis_client.servers import cluster, eventually, opened, server

HERE = "127.0.0.1"


async def look(url, *, times=1, timeout_seconds=1.0, wait=None):
    """Return the health of the server of a URL, at the last of several looks."""
    async with opened(url, timeout_seconds=timeout_seconds, wait=wait) as client:
        for number in range(times):
            await asyncio.sleep(0.1 if number else 0)  # longer than the pause after a failure
            health = await RedisHealth(Scripts(client)).look()
        return health


async def cause(url, **options):
    """Return the one cause that keeps all partitions from working."""
    health = await look(url, **options)
    assert not health.is_ready
    [(fault, partitions)] = health.by_fault().items()
    assert len(partitions) == 16
    assert fault.fix == FIXES[fault.cause]
    return fault.cause


@pytest.fixture(params=["valkey", "redis"])
def node(request, tmp_path, monkeypatch):
    """Run one server of this test alone; all servers of the test are of its kind."""
    if request.param == "valkey":
        monkeypatch.setattr(servers, "SERVER", str(servers.VALKEY))
    elif shutil.which("redis-server") is None:
        absent("there is no redis-server here, so Redis itself is not tested")
    with server(tmp_path / "redis") as running:
        yield running


def test_every_cause_has_its_fix_in_one_sentence():
    """Each cause has a fix of its own, in one sentence."""
    assert set(FIXES) == set(StoreCause)
    assert len(set(FIXES.values())) == len(FIXES)
    for fix in FIXES.values():
        assert re.fullmatch(r"[A-Z].{10,170}\.", fix), fix


async def test_a_look_changes_nothing_on_a_server_that_works(node):
    """A look at all partitions runs one script and leaves no key."""
    async with opened(node.url) as client:
        health = RedisHealth(Scripts(client))
        assert (await health.look()).faults == {}
        before = node.admin.info("commandstats")
        assert (await health.look()).is_ready
        after = node.admin.info("commandstats")
    assert node.admin.keys() == []
    calls = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
    assert calls["cmdstat_evalsha"] == 1
    assert calls["cmdstat_hset"] == 16


async def test_a_replica(node, tmp_path):
    """A replica cannot be used, because it rejects writes; without its primary it may reject reads too."""
    with server(tmp_path / "replica") as replica:
        replica.admin.replicaof(HERE, node.port)
        eventually(lambda: replica.admin.info("replication")["master_link_status"] == "up")
        assert await cause(replica.url) is StoreCause.REPLICA
        replica.admin.config_set("replica-serve-stale-data", "no")
        node.kill()
        eventually(lambda: replica.admin.execute_command("INFO", "replication")["master_link_status"] == "down")
        health = await look(replica.url)
        assert {fault.cause for fault in health.faults.values()} <= {StoreCause.REPLICA, StoreCause.PRIMARY_DOWN}
        assert (health.is_ready, health.api_keys.cause) == (False, StoreCause.PRIMARY_DOWN)


async def test_a_replica_that_accepts_writes(node, tmp_path):
    """A replica with `replica-read-only no` refuses to wait for others, and is named as the cause."""
    with server(tmp_path / "replica", "--replica-read-only", "no") as replica:
        replica.admin.replicaof(HERE, node.port)
        async with opened(replica.url, wait=WaitPolicy(1, 100)) as client:
            with pytest.raises(ResponseError) as refused:
                await client.command_and_wait("SET", "otp:k", "", key="otp:k")
        assert fault_of(refused.value).cause is StoreCause.REPLICA


def test_an_error_that_a_proxy_passes_on_as_another_one_keeps_its_cause():
    """Some providers write `-ERR READONLY …`."""
    for reply in ("READONLY You can't write", "ERR READONLY You can't write"):
        assert fault_of(error_of_reply(reply)).cause is StoreCause.REPLICA


async def test_a_primary_without_its_replicas(node):
    """A primary that rejects writes without its replicas has its own cause."""
    node.admin.config_set("min-replicas-to-write", 1)
    assert await cause(node.url) is StoreCause.TOO_FEW_REPLICAS


async def test_a_full_server(node):
    """A server without memory left still serves reads, so the look also writes."""
    node.admin.config_set("maxmemory", 1)
    assert await cause(node.url) is StoreCause.OUT_OF_MEMORY


async def test_a_server_without_a_disk(node):
    """A server whose snapshot failed refuses writes."""
    node.admin.config_set("save", "3600 1")
    shutil.rmtree(node.folder)
    node.admin.set("otp:x", 1, ex=9)
    with contextlib.suppress(redis_py.RedisError):
        node.admin.bgsave()
    eventually(lambda: node.admin.info("persistence")["rdb_last_bgsave_status"] == "err")
    assert await cause(node.url) is StoreCause.DISK


async def test_a_server_that_loads_its_data(tmp_path):
    """A server that is still loading its data after a start has its own cause."""
    with server(tmp_path / "redis") as node:
        node.admin.execute_command(
            "EVAL", "for i = 1, 400 do redis.call('SET', 'k' .. i, string.rep('x', 2000)) end", 0
        )
        node.admin.config_set("rdbcompression", "no")  # or the file would load at once
        node.admin.save()
        node.kill()
        node.arguments += ["--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"]
        node.start()
        assert await cause(node.url) is StoreCause.LOADING


async def test_a_server_blocked_by_a_script(node):
    """A script of another client that does not end has its own cause, once the server reports BUSY."""
    node.admin.config_set("busy-reply-threshold", 10)

    def spin():
        with redis_py.Redis(port=node.port) as client, contextlib.suppress(redis_py.RedisError):
            client.eval("while true do end", 0)

    spinning = threading.Thread(target=spin)
    spinning.start()
    try:
        eventually(lambda: _is_busy(node))
        assert await cause(node.url) is StoreCause.BUSY_SCRIPT
    finally:
        node.admin.script_kill()
        spinning.join()


def _is_busy(node):
    try:
        node.admin.get("x")
    except redis_py.ResponseError as busy:
        return str(busy).startswith("BUSY")
    return False


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        ("~otp:* +@all -@scripting", "+evalsha"),
        ("~otp:* +@all -evalsha", "+evalsha"),
        ("~otp:* +@all -eval", "+eval"),
        ("~other:* +@all", "~otp:*"),
        ("~otp:* +@all -hset -zadd", "+hset +zadd"),
        ("~otp:* +@all -pexpire", "+pexpire"),
    ],
)
async def test_a_user_without_a_permission(node, rules, missing):
    """The fault of an ACL user names the permissions that an issue or a check needs and it lacks."""
    node.admin.execute_command("ACL", "SETUSER", "otp", "on", ">p", *rules.split())
    health = await look(f"redis://otp:p@{HERE}:{node.port}")
    [(fault, partitions)] = health.by_fault().items()
    assert (fault.cause, fault.detail, len(partitions)) == (StoreCause.NO_PERMISSION, missing, 16)
    assert node.admin.keys() == []


async def test_a_permission_that_neither_an_issue_nor_a_check_needs(node):
    """Permissions that only the worker and the commands need are listed apart; INFO is not needed."""
    node.admin.execute_command("ACL", "SETUSER", "otp", "on", ">p", "~otp:*", "+@all", "-zrevrange", "-scan", "-info")
    health = await look(f"redis://otp:p@{HERE}:{node.port}")
    assert (health.faults, health.lacking) == ({}, ("scan", "zrevrange"))


async def test_a_user_who_may_not_delete_leaves_only_keys_that_expire(node):
    """If the look may not delete its keys, they expire."""
    node.admin.execute_command("ACL", "SETUSER", "otp", "on", ">p", "~otp:*", "+@all", "-del")
    assert (await look(f"redis://otp:p@{HERE}:{node.port}")).lacking == ("del",)
    assert len(node.admin.keys()) == 16
    assert all(0 < node.admin.ttl(key) <= 10 for key in node.admin.scan_iter())


def test_the_look_asks_about_the_commands_of_the_work():
    """The commands that an issue and a check need come from their scripts, so a new one is included at once."""
    assert (
        {"hset", "zadd", "pexpire", "hincrby", "time"} <= commands_of("issue", "check") <= commands_of(*load_scripts())
    )


async def test_credentials_connections_and_databases(node):
    """A wrong, missing or unneeded password, an unknown user, no free connection and a missing database differ."""
    assert await cause(f"redis://:needless@{HERE}:{node.port}") is StoreCause.PASSWORD_WRONG
    assert await cause(f"redis://nobody:p@{HERE}:{node.port}") is StoreCause.PASSWORD_WRONG
    assert await cause(f"{node.url}/99") is StoreCause.DATABASE
    node.admin.config_set("maxclients", 1)
    assert await cause(node.url) is StoreCause.TOO_MANY_CLIENTS
    node.admin.config_set("maxclients", 100)
    node.admin.config_set("requirepass", "p")
    assert await cause(node.url) is StoreCause.PASSWORD_MISSING
    assert await cause(f"redis://:wrong@{HERE}:{node.port}") is StoreCause.PASSWORD_WRONG
    assert (await look(f"redis://:p@{HERE}:{node.port}")).is_ready


async def test_a_server_that_lacks_a_command(tmp_path):
    """A renamed command is not mistaken for a missing permission; one that only the worker needs is listed."""
    with server(tmp_path / "redis", "--rename-command", "EVALSHA", "") as node:
        assert await cause(node.url) is StoreCause.UNKNOWN_COMMAND
    with server(tmp_path / "in_scripts", "--rename-command", "HINCRBY", "") as node:
        assert await cause(node.url) is StoreCause.UNKNOWN_COMMAND
    with server(tmp_path / "waits", "--rename-command", "WAIT", "") as node:
        assert await cause(node.url, wait=WaitPolicy(1, 50)) is StoreCause.UNKNOWN_COMMAND
    with server(tmp_path / "other", "--rename-command", "ZREVRANGE", "") as node:
        assert (await look(node.url)).lacking == ("?zrevrange",)


async def test_no_server(node, tmp_path):
    """A closed port, a missing socket, an unknown host and a frozen server have their own causes."""
    assert await cause(f"redis://{HERE}:{free_port()}") is StoreCause.REFUSED
    assert await cause(f"unix://{tmp_path}/nothing") is StoreCause.REFUSED
    assert await cause("redis://no-such-host.invalid") in {StoreCause.UNKNOWN_HOST, StoreCause.TIMEOUT}
    node.freeze()
    assert await cause(node.url) is StoreCause.TIMEOUT
    node.thaw()


def test_a_name_without_an_address_is_unknown():
    """An error of the name resolver is the cause `unknown_host`."""
    with pytest.raises(socket.gaierror) as failure:
        socket.getaddrinfo("", None)
    assert fault_of(failure.value).cause is StoreCause.UNKNOWN_HOST


async def test_another_server(node):
    """A server of another kind is not Redis; one that closes connections without a reply has its own cause."""

    async def respond(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(respond, HERE, 0) as other:
        assert await cause(f"redis://{HERE}:{other.sockets[0].getsockname()[1]}") is StoreCause.NOT_REDIS
    async with await asyncio.start_server(lambda _, writer: writer.close(), HERE, 0) as other:
        assert await cause(f"redis://{HERE}:{other.sockets[0].getsockname()[1]}") is StoreCause.CONNECTION_LOST
    async with Proxy(node.port) as proxy, opened(proxy.url) as client:
        scripts = Scripts(client)
        assert (await RedisHealth(scripts).look()).is_ready
        proxy.drops_replies = True
        looking = asyncio.create_task(RedisHealth(scripts).look())
        await asyncio.sleep(0.05)
        proxy.cut()
        assert {fault.cause for fault in (await looking).faults.values()} == {StoreCause.CONNECTION_LOST}


async def test_one_node_of_a_cluster_by_the_address_of_a_server(tmp_path):
    """With redis:// only the partitions of that node work; the fix is another scheme."""
    with cluster(tmp_path, (0, 8191), (8192, 16383)) as (one, other):
        health = await look(one.url)
        [(fault, named)] = health.by_fault().items()
        assert (fault.cause, health.is_ready) == (StoreCause.MOVED, True)
        assert "write redis+cluster://" in fault.fix
        [(_, named_by_other)] = (await look(other.url)).by_fault().items()
        assert sorted(named + named_by_other) == list("0123456789abcdef")
        assert await cause(f"{one.url}/1") is StoreCause.DATABASE
        assert (await look(f"redis+cluster://{HERE}:{one.port}")).faults == {}
        assert one.admin.keys() == other.admin.keys() == []


async def test_a_cluster_that_loses_a_shard(tmp_path):
    """The partitions of a node that is down are named within one timeout; with all nodes down nothing works."""
    lax = ("--cluster-require-full-coverage", "no")
    with cluster(tmp_path, (0, 8191), (8192, 16383), arguments=lax) as (one, other):
        async with opened(f"redis+cluster://{HERE}:{one.port}") as client:
            health = RedisHealth(Scripts(client))
            assert (await health.look()).faults == {}
            other.freeze()
            began = asyncio.get_running_loop().time()
            [(fault, named)] = (await health.look()).by_fault().items()
            assert asyncio.get_running_loop().time() - began < 1.9  # one timeout of 1 s, not one for each partition
            assert (fault.cause, 0 < len(named) < 16) == (StoreCause.TIMEOUT, True)
            other.thaw()
            other.kill()
            [(fault, still_named)] = (await health.look()).by_fault().items()
            assert (fault.cause in {StoreCause.REFUSED, StoreCause.CONNECTION_LOST}, still_named) == (True, named)
            one.kill()
            assert not (await health.look()).is_ready


async def test_a_cluster_with_a_hole(tmp_path, node):
    """Slots without a node stop the whole cluster, unless it needs no full coverage; a single server is no cluster."""
    assert await cause(f"redis+cluster://{HERE}:{node.port}") is StoreCause.NOT_A_CLUSTER
    with server(tmp_path / "alone", "--cluster-enabled", "yes") as alone:
        alone.admin.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
        assert await cause(f"redis+cluster://{HERE}:{alone.port}") is StoreCause.CLUSTER_DOWN
        alone.admin.config_set("cluster-require-full-coverage", "no")
        eventually(lambda: alone.admin.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        health = await look(f"redis+cluster://{HERE}:{alone.port}")
        assert (health.is_ready, {fault.cause for fault in health.faults.values()}) == (True, {StoreCause.CLUSTER_DOWN})


async def test_a_sentinel_without_a_primary(tmp_path, node):
    """An unknown service and a Sentinel that is down have their own causes."""
    assert await cause(f"redis+sentinel://{HERE}:{free_port()}/main") is StoreCause.REFUSED
    config = tmp_path / "sentinel.conf"
    config.write_text(f"sentinel monitor main {HERE} {node.port} 1\n")
    with server(tmp_path / "sentinel", program=(str(config), "--sentinel")) as sentinel:
        assert await cause(f"redis+sentinel://{HERE}:{sentinel.port}/other") is StoreCause.NO_PRIMARY
        assert (await look(f"redis+sentinel://{HERE}:{sentinel.port}/main")).is_ready


# --- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Make an authority with openssl and its certificates: good, for another host, expired; and another authority."""
    openssl, folder = shutil.which("openssl"), tmp_path_factory.mktemp("tls")
    if openssl is None:
        absent("there is no openssl here to make certificates with")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def run(*words):
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "stranger"):
        run("req", "-x509", *new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    for name, host, days in (("good", f"IP:{HERE}", "2"), ("other", "DNS:elsewhere", "2"), ("old", f"IP:{HERE}", "-1")):
        (folder / "names").write_text(f"subjectAltName={host}")
        run("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", days, "-extfile", "names"]
        run("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return folder


@contextlib.contextmanager
def tls_server(folder, certificates, name="good", *, clients="no"):
    """Run Redis with TLS and yield its port. The embedded Valkey has no TLS."""
    if shutil.which("redis-server") is None:
        absent("there is no redis-server here, and the embedded Valkey has no TLS")
    port = free_port()
    files = {"cert-file": f"{name}.pem", "key-file": f"{name}.key", "ca-cert-file": "ca.pem"}
    words = [word for option, file in files.items() for word in (f"--tls-{option}", str(certificates / file))]
    with server(folder, "--tls-port", str(port), *words, "--tls-auth-clients", clients):
        yield port


def tls_url(port, certificates, **files):
    """Return the URL of a server with the files for TLS."""
    options = {"ssl_ca_certs": "ca.pem", **files}
    return f"rediss://{HERE}:{port}?" + "&".join(f"{name}={certificates / file}" for name, file in options.items())


async def tls_causes(folder, certificates):
    """Try every way in which TLS fails."""
    own = {"ssl_certfile": "good.pem", "ssl_keyfile": "good.key"}
    patient = {"times": 3, "timeout_seconds": 5}  # these servers close at once, but the machine may be busy
    strange = {"ssl_certfile": "stranger.pem", "ssl_keyfile": "stranger.key"}
    with tls_server(folder / "a", certificates) as port:
        assert (await look(tls_url(port, certificates))).is_ready
        assert await cause(f"rediss://{HERE}:{port}") is StoreCause.TLS_UNKNOWN_CA
        assert await cause(tls_url(port, certificates, ssl_ca_certs="stranger.pem")) is StoreCause.TLS_UNKNOWN_CA
        assert await cause(f"redis://{HERE}:{port}", **patient) is StoreCause.TLS_NEEDED
    with tls_server(folder / "b", certificates, clients="yes") as port:
        assert (await look(tls_url(port, certificates, **own))).is_ready
        for files in ({}, strange):
            for _ in range(3):
                found = await cause(tls_url(port, certificates, **files), **patient)
                if found is not StoreCause.CONNECTION_LOST:  # a reset may overtake the alert that names the reason
                    break
            assert found is StoreCause.TLS_CLIENT_CERTIFICATE
        assert await cause(f"redis://{HERE}:{port}", **patient) is StoreCause.TLS_NEEDED
    with tls_server(folder / "c", certificates, "other") as port:
        assert await cause(tls_url(port, certificates)) is StoreCause.TLS_HOST_NAME
    with tls_server(folder / "d", certificates, "old") as port:
        assert await cause(tls_url(port, certificates)) is StoreCause.TLS_EXPIRED
    with server(folder / "e") as plain:
        assert await cause(tls_url(plain.port, certificates), times=3) is StoreCause.TLS_NOT_SPOKEN


@pytest.mark.slow  # `serve` runs on uvloop
async def test_each_way_in_which_tls_fails(tmp_path, certificates):
    """Unknown authority, another host, expired, no or an untrusted client certificate, TLS on one side only."""
    await tls_causes(tmp_path, certificates)


def test_each_way_in_which_tls_fails_on_uvloop(tmp_path, certificates):
    """On uvloop, which has its own TLS, the causes are the same."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(tls_causes(tmp_path, certificates))


async def test_a_missing_file_for_tls_is_refused_at_once(certificates):
    """A URL that names an unreadable certificate is refused before anything is sent."""
    with pytest.raises(ValueError, match="ssl_ca_certs"):
        await look(tls_url(1, certificates, ssl_ca_certs="nothing.pem"))
