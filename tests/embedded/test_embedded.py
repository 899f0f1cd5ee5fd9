"""The promises of the embedded Valkey to its users, with real servers, real processes and real kills."""

import contextlib
import fcntl
import json
import os
import platform
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from service.embedded import data_folder as shared_folder
from service.embedded import keeper as embedded_keeper
from service.embedded import server as embedded
from service.embedded import server_process
from service.embedded.server import EmbeddedUnavailable, embedded_valkey

ROOT = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties the server's life to the keeper's")


@pytest.fixture
def data_dir(tmp_path):
    """Yield a folder to serve; at the end no keeper, server or socket of it may be left."""
    folder = tmp_path / "data"
    yield folder
    eventually(lambda: not processes(folder))
    assert not socket_of(folder).exists()


def socket_of(folder):
    return embedded._Place(data_dir=folder.resolve(), binary=Path()).socket_path


def processes(folder, kind=""):
    """Return the pids of the keeper (first) and the server of the folder, as `ps` lists them."""
    listing = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    found = [line.split(maxsplit=1) for line in listing.splitlines() if str(socket_of(folder)) in line and kind in line]
    return [int(pid) for pid, _ in found]


def keeper_of(folder):
    [pid] = processes(folder, "keeper.py")
    return pid


def server_of(folder):
    [pid] = processes(folder, "valkey-server unixsocket:")
    return pid


def eventually(look, seconds=8):
    """Wait until `look` returns something true, and return it; lost connections count as false."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(redis.RedisError):
            if found := look():
                return found
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def client_of(folder):
    with embedded_valkey(folder) as url, redis.Redis.from_url(url, retry=None, decode_responses=True) as client:
        yield client


class User:
    """A process that runs `embedded_user.py`."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("embedded_user.py"), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TWILIO_AUTH_TOKEN": "a-secret-of-the-user"},
            start_new_session=True,
        )

    def send(self, words):
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()

    def receive(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, words):
        self.send(words)
        return self.receive()


@pytest.fixture
def start_users(data_dir):
    """Yield a function that starts `count` users, ready for commands; kill them all at the end."""
    users = []

    def start(count):
        new = [User(data_dir) for _ in range(count)]
        users.extend(new)
        for user in new:
            assert user.receive() == "here"
        return new

    yield start
    for user in users:
        user.process.kill()
        user.process.communicate()


def test_server_is_private_and_durable(data_dir):
    """The server has no port, keeps an append-only file, evicts nothing, and protects its files from other users."""
    with client_of(data_dir) as client:
        wanted = {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "no",  # the keeper syncs, see below
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        assert client.config_get(*wanted) == wanted
        made = [data_dir, *data_dir.rglob("*")]
        assert {path.name for path in made} >= {"appendonlydir", "x.sock", "valkey.log", "users.lock"}
        assert [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_data_survives_last_user(data_dir):
    """Acknowledged data is there when the next user starts a new server on the folder."""
    with client_of(data_dir) as client:
        client.set("kept", "yes")
        first = client.info("server")["run_id"]
    with client_of(data_dir) as client:
        assert client.get("kept") == "yes"
        assert client.info("server")["run_id"] != first


def test_last_user_leaves_folder_unused(data_dir):
    """When the last user has left, no process uses the folder any more, so it can be removed at once."""
    for _ in range(3):
        with client_of(data_dir) as client:
            client.set("key", "value")
        assert processes(data_dir) == []
        shutil.rmtree(data_dir)


def test_keeper_syncs_what_server_writes(data_dir, monkeypatch):
    """The keeper periodically syncs the file to which the server appends."""
    with client_of(data_dir) as client:
        client.set("key", "value")
        written = {path.stat().st_ino for path in (data_dir / "appendonlydir").glob("*.incr.aof")}
        synced = set()
        monkeypatch.chdir(data_dir)
        monkeypatch.setattr(os, "fsync", lambda file: synced.add(os.fstat(file).st_ino))
        embedded_keeper._tend_files()
        assert written
        assert written <= synced


@pytest.mark.slow
def test_removed_folder_leaves_no_process(data_dir):
    """If the data folder is removed while it is in use, the user can still leave, and keeper and server stop."""
    with client_of(data_dir):
        shutil.rmtree(data_dir)
    eventually(lambda: not processes(data_dir))


def test_error_in_user_propagates(data_dir):
    """An exception in the user's block propagates unchanged, and the user counts as gone."""
    with pytest.raises(ZeroDivisionError), embedded_valkey(data_dir):
        _ = 1 / 0
    assert processes(data_dir) == []


def test_two_folders_are_two_servers(data_dir, tmp_path):
    """Each data folder has a server of its own."""
    with client_of(data_dir) as one, client_of(tmp_path / "other") as other:
        one.set("key", "one")
        assert other.get("key") is None


def test_users_entering_together_share_one_server(data_dir, start_users):
    """Processes that enter at the same moment share one server, round after round."""
    users = start_users(4)
    for round_number in range(1, 9):
        for user in users:
            user.send("enter")
        assert len({user.receive() for user in users}) == 1
        assert len(processes(data_dir)) == 2
        for user in users:
            user.send("add 10")
        assert max(user.receive() for user in users) == round_number * 40
        for user in users:
            user.send("leave")
        assert [user.receive() for user in users] == ["left"] * 4


@pytest.mark.slow
def test_users_who_enter_and_leave_never_get_a_stopping_server(data_dir, start_users):
    """A user that enters while the keeper shuts down gets a running server, and no increment is lost."""
    users = start_users(3)
    for user in users:
        user.send("churn 6")
    added = [user.receive() for user in users]
    assert min(added) > 5
    with client_of(data_dir) as client:
        assert int(client.get("counter")) == sum(added)


def test_server_outlives_its_starter(data_dir, start_users):
    """The user who started the server can be killed without loss for the others."""
    starter, other = start_users(2)
    assert starter.ask("enter") == other.ask("enter")
    starter.process.kill()
    starter.process.wait()
    time.sleep(0.3)
    assert other.ask("add 5") == 5


def test_killed_users_leave_no_server(data_dir, start_users):
    """When all users are killed the keeper shuts the server down, and nothing acknowledged is lost."""
    users = start_users(2)
    for user in users:
        user.ask("enter")
        user.ask("add 100")
    for user in users:
        user.process.kill()
    eventually(lambda: not processes(data_dir))
    assert "bye bye" in (data_dir / "valkey.log").read_text()
    with client_of(data_dir) as client:
        assert client.get("counter") == "200"


def test_ctrl_c_reaches_user_before_server(data_dir, start_users):
    """After Ctrl-C to the whole process group a draining user can still write."""
    [user] = start_users(1)
    user.ask("enter")
    user.ask("add 1")
    os.killpg(user.process.pid, signal.SIGINT)
    assert user.receive() == 2
    assert user.process.wait(10) == 0
    assert processes(data_dir) == []


def test_signals_of_a_stopping_machine_do_not_stop_the_server(data_dir):
    """SIGTERM and SIGINT to keeper and server, as a service manager sends them to a whole unit, stop neither."""
    with client_of(data_dir) as client:
        before = processes(data_dir)
        for pid in before:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        time.sleep(0.3)
        assert client.incr("counter") == 1
        assert processes(data_dir) == before


def test_killed_server_is_replaced_without_loss(data_dir):
    """After kill -9 of the server its users get a new one on the same data, with everything acknowledged."""
    with client_of(data_dir) as client:
        for number in range(1, 4):
            assert client.incr("counter") == number
            os.kill(server_of(data_dir), signal.SIGKILL)
            began = time.monotonic()
            assert eventually(lambda: client.get("counter")) == str(number)
            assert time.monotonic() - began < 5  # 0.7 s on an idle machine


def test_killed_keeper_is_replaced_without_loss(data_dir):
    """After kill -9 of the keeper a running user starts a new one; there is one server, with all the data."""
    with client_of(data_dir) as client:
        client.set("kept", "yes")
        keeper = keeper_of(data_dir)
        os.kill(keeper, signal.SIGKILL)
        eventually(lambda: [pid for pid in processes(data_dir, "keeper.py") if pid != keeper])
        assert eventually(lambda: client.get("kept")) == "yes"
        eventually(lambda: len(processes(data_dir)) == 2)


@LINUX
def test_server_dies_with_keeper(data_dir, start_users):
    """When keeper and users are killed together no orphan is left, and the next user finds the data."""
    [user] = start_users(1)
    user.ask("enter")
    user.ask("add 7")
    os.kill(user.process.pid, signal.SIGSTOP)  # it must not restart the keeper before it is killed itself
    os.kill(keeper_of(data_dir), signal.SIGKILL)
    user.process.kill()
    eventually(lambda: not processes(data_dir))
    with client_of(data_dir) as client:
        assert client.get("counter") == "7"


def test_orphaned_server_is_replaced(data_dir):
    """The next user stops a server that outlived its keeper, keeps its data and gets a server with a keeper."""
    with client_of(data_dir) as client:
        client.set("kept", "by the first")
    socket_path = socket_of(data_dir)
    socket_path.parent.mkdir(mode=0o700)
    lock = shared_folder.open_lock(data_dir / shared_folder.SERVER_LOCK)
    assert shared_folder.try_lock(lock, fcntl.LOCK_EX)
    command = server_process._command(str(embedded._binary()), socket_path)
    with subprocess.Popen(command, cwd=data_dir, pass_fds=(lock,), stdout=subprocess.DEVNULL) as orphan:
        os.close(lock)
        with redis.Redis(unix_socket_path=str(socket_path)) as client:
            eventually(lambda: client.set("kept", "by the orphan"))
        with client_of(data_dir) as client:
            assert orphan.wait(5) == 0
            assert client.get("kept") == "by the orphan"
            assert client.info("server")["process_id"] != orphan.pid


def test_half_written_command_is_cut_off(data_dir):
    """A file that ends in the middle of a command is loaded up to there, and the server starts."""
    with client_of(data_dir) as client:
        client.set("whole", "yes")
        client.set("half", "x" * 100)
    [file] = (data_dir / "appendonlydir").glob("*.incr.aof")
    os.truncate(file, file.stat().st_size - 20)
    with client_of(data_dir) as client:
        assert client.get("whole") == "yes"
        assert client.get("half") is None


def test_broken_file_is_refused_with_the_servers_message(data_dir):
    """A file damaged in its middle stops the start at once, with the message of the server."""
    with client_of(data_dir) as client:
        client.set("one", "1")
    [file] = (data_dir / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(b"*9\r\n$junk" + file.read_bytes())
    began = time.monotonic()
    with (
        pytest.raises(EmbeddedUnavailable, match=r"(?s)ended at its start.*Bad file format"),
        embedded_valkey(data_dir),
    ):
        pass
    assert time.monotonic() - began < shared_folder.SILENCE_SECONDS


@pytest.mark.parametrize(("half", "zeros"), [(0, 1), (0, 3 << 20), (20, 3 << 20)])
def test_zeros_of_a_power_loss_are_cut_off(data_dir, capfd, half, zeros):
    """A file that ends in zeros is loaded up to there; standard error and log name the copy of the original."""
    with client_of(data_dir) as client:
        client.set("whole", "yes")
        client.set("last", "x" * 100)
    [file] = (data_dir / "appendonlydir").glob("*.incr.aof")
    os.truncate(file, file.stat().st_size - half)
    os.truncate(file, file.stat().st_size + zeros)
    damaged = file.read_bytes()
    with client_of(data_dir) as client:
        assert client.get("whole") == "yes"
        assert (client.get("last") is None) == bool(half)
        assert client.set("after", "yes")
    [copy] = data_dir.glob("damaged-*")
    assert (copy.read_bytes(), stat.S_IMODE(copy.stat().st_mode)) == (damaged, 0o600)
    errors = capfd.readouterr().err
    assert errors.startswith("WARNING: ")
    assert f"{zeros} bytes" in errors
    assert copy.name in errors
    assert copy.name in (data_dir / "valkey.log").read_text()
    with client_of(data_dir) as client:
        assert client.get("after") == "yes"
    assert capfd.readouterr().err == ""


def test_a_file_damaged_before_its_end_is_left_unchanged(data_dir):
    """With zeros at the end and damage before them nothing is cut off or copied, and the error names the fix."""
    with client_of(data_dir) as client:
        client.set("one", "1")
    [file] = (data_dir / "appendonlydir").glob("*.incr.aof")
    content = file.read_bytes()
    damaged = content[:20] + b"\0" * 10 + content[30:] + b"\0" * 100
    file.write_bytes(damaged)
    with (
        pytest.raises(EmbeddedUnavailable, match=r"(?s)Restore a backup of .*data, or move it away"),
        embedded_valkey(data_dir),
    ):
        pass
    assert file.read_bytes() == damaged
    assert list(data_dir.glob("damaged-*")) == []


def test_users_who_fail_together_all_get_the_reason(data_dir, start_users):
    """When the server cannot start, every waiting user fails, and none waits forever."""
    with client_of(data_dir) as client:
        client.set("one", "1")
    [file] = (data_dir / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(b"junk")
    users = start_users(3)
    for user in users:
        user.send("enter")
    assert [user.process.wait(30) for user in users] == [1, 1, 1]


@pytest.mark.slow
def test_unresponsive_server_is_killed(data_dir, tmp_path, monkeypatch):
    """A server that starts but never responds is killed after ten seconds."""
    silent = tmp_path / "silent-server"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o700)
    monkeypatch.setattr(embedded, "_binary", lambda: silent)
    began = time.monotonic()
    with pytest.raises(EmbeddedUnavailable, match="does not answer"), embedded_valkey(data_dir):
        pass
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("name", ["a folder with 'quotes' and \"blanks\"", "n" * 200, "ключи-鍵", "%20", "-x #*?$HOME"])
def test_any_folder_name_works(tmp_path, name):
    """Whatever the name of the data folder, the socket has a short plain path, and data is kept."""
    folder = tmp_path / name
    for number in (1, 2):
        with client_of(folder) as client:
            assert re.fullmatch(r"[A-Za-z0-9/._-]{1,100}", str(socket_of(folder)))
            assert client.incr("counter") == number
    assert processes(folder) == []
    assert not socket_of(folder).parent.exists()


def test_all_names_of_a_folder_reach_one_server(data_dir, tmp_path, monkeypatch):
    """A link, a relative name and another TMPDIR all reach the server of the folder."""
    with client_of(data_dir) as client:
        (tmp_path / "link").symlink_to(data_dir)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        client.set("key", "value")
        for name in ("link", "data/../data"):
            with client_of(Path(name)) as same:
                assert same.get("key") == "value"


def plant_link(folder, tmp_path):
    folder.symlink_to(tmp_path)


def plant_open_folder(folder, _tmp_path):
    folder.mkdir()
    folder.chmod(0o777)


def plant_file(folder, _tmp_path):
    folder.write_text("")


@pytest.mark.parametrize("plant", [plant_link, plant_open_folder, plant_file])
def test_planted_socket_folder_is_refused(tmp_path, plant):
    """A socket folder prepared by another user is not used, and the error names it."""
    folder = tmp_path / ("n" * 200)
    socket_folder = socket_of(folder).parent
    plant(socket_folder, tmp_path)
    try:
        with pytest.raises(EmbeddedUnavailable, match=re.escape(str(socket_folder))), embedded_valkey(folder):
            pass
        assert processes(folder) == []
    finally:
        socket_folder.rmdir() if plant is plant_open_folder else socket_folder.unlink()


def test_socket_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    """A private socket folder is used only if it is ours."""
    folder = tmp_path / "run"
    shared_folder.private_folder(folder)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(EmbeddedUnavailable, match="set REDIS_URL"):
        shared_folder.private_folder(folder)


def test_data_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    """A data folder of another user is left alone, and the message names the owner."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(EmbeddedUnavailable, match="belongs to user"), embedded_valkey(tmp_path):
        pass


def test_data_folder_that_cannot_be_made_is_refused(tmp_path):
    """A data folder that cannot be created is refused, with the settings that fix it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedUnavailable, match="set OTP_DATA_DIR"), embedded_valkey(tmp_path / "file" / "data"):
        pass


def test_data_folder_without_write_permission_is_refused(tmp_path, monkeypatch):
    """A data folder without write permission is refused before anything starts."""
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
    with pytest.raises(EmbeddedUnavailable, match="is not writable"), embedded_valkey(tmp_path):
        pass


def test_platform_without_binary_is_refused(tmp_path, monkeypatch):
    """Without a binary for the platform, the message names the platform and the setting that helps."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(EmbeddedUnavailable, match=r"riscv64: set REDIS_URL"), embedded_valkey(tmp_path):
        pass


def test_deleted_socket_is_recreated(data_dir):
    """When the folder of the socket is deleted, the server restarts with a new one and keeps its data."""
    with client_of(data_dir) as client:
        client.set("kept", "yes")
        time.sleep(0.6)
        shutil.rmtree(socket_of(data_dir).parent)
        client.close()
        assert eventually(lambda: client.get("kept")) == "yes"


def test_log_size_is_bounded(data_dir):
    """A log that exceeds its limit is moved aside, and the server writes a new one."""
    log = data_dir / "valkey.log"
    with client_of(data_dir) as client:
        with log.open("ab") as file:
            file.write(b"x" * embedded_keeper._LOG_BYTES)
        eventually((data_dir / "valkey.log.1").exists)
        client.bgrewriteaof()
        eventually(log.exists)
        assert log.stat().st_size < 10_000


@LINUX
def test_secrets_do_not_reach_the_server(data_dir, start_users):
    """Neither keeper nor server gets the user's environment, which contains secrets."""
    [user] = start_users(1)
    user.ask("enter")
    assert b"a-secret" in Path(f"/proc/{user.process.pid}/environ").read_bytes()
    for pid in processes(data_dir):
        assert b"a-secret" not in Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_under_random_kills(data_dir):
    """Whatever is killed at whatever time, every acknowledged write is kept."""
    dice = random.Random(7)
    acknowledged = 0
    with client_of(data_dir) as client:
        for _ in range(8):
            until = time.monotonic() + dice.uniform(0.05, 0.3)
            while time.monotonic() < until:
                with contextlib.suppress(redis.RedisError):
                    acknowledged = max(acknowledged, client.incr("counter"))
            with contextlib.suppress(ProcessLookupError):
                for pid in dice.choice([processes(data_dir), processes(data_dir)[:1], processes(data_dir)[1:]]):
                    os.kill(pid, signal.SIGKILL)
            assert int(eventually(lambda: client.get("counter"))) >= acknowledged
