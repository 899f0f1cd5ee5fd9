"""The promises of `deploy/` and `docker-compose.yml`: files and commands that they name exist, and little is exposed.

No container engine is needed: files are parsed as their tools parse them; servers and health checks run for real.
"""

import asyncio
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis as redis_py
import yaml
from typer.testing import CliRunner

from service.cli import app as cli
from service.config.settings import Settings, load_settings, missing_secrets
from service.diagnosis import examine
from service.embedded.server import _binary
from service.serving.server import GRACE_SECONDS
from service.version import VERSION
from service.wiring import DRAIN_SECONDS as WORKER_SECONDS
from tests.absent import absent
from tests.free_ports import free_port, wait_until_listening

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
NAMES = set(Settings.model_fields)
OURS = ("otp", "worker")
UNITS = ("otp-service", "otp-worker")
DRAIN_SECONDS = 10  # the maximum that docs/operations.md and .env.example allow without a change here
STOP_SECONDS = DRAIN_SECONDS + GRACE_SECONDS + WORKER_SECONDS
NO_SETTING = {"redis_users"}  # the password of Redis itself


def compose():
    """Parse `docker-compose.yml` with its anchors resolved."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


def services():
    """Return the services of the compose file by name."""
    return compose()["services"]


def dockerfile():
    """Parse the Dockerfile: (instruction, argument) in order, continuation lines joined, comments left out."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line]


def arguments(instruction):
    """Return the arguments of every occurrence of an instruction in the Dockerfile."""
    return [argument for name, argument in dockerfile() if name == instruction]


def unit(name="otp-service"):
    """Parse a systemd unit: (name, value) of each line."""
    lines = (DEPLOY / f"{name}.service").read_text("utf-8").splitlines()
    return [tuple(line.split("=", 1)) for line in lines if re.match("[A-Z]", line)]


def values(name, of="otp-service"):
    """Return the values of one name in a unit."""
    return [value for found, value in unit(of) if found == name]


def seconds(span):
    """Parse a span such as 20s."""
    return int(re.fullmatch("([0-9]+)s", span)[1])


def accept(words):
    """Let the command line parse a command without running it; fail unless command and options exist."""
    result = CliRunner().invoke(cli, [*words, "--help"])
    if result.exit_code != 0:
        pytest.fail(result.output)


def own_address():
    """Return an address of this machine other than loopback, or None. The kernel picks a route; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.254", 9))
        except OSError:
            return None
        return asking.getsockname()[0]


def test_a_command_that_does_not_exist_would_be_noticed():
    """The check of commands in this file refuses an unknown command and an unknown option."""
    for words in (["sreve"], ["serve", "--wrokers", "2"], ["keys", "make", "x"]):
        with pytest.raises(pytest.fail.Exception):
            accept(words)


# --- docker-compose.yml


def test_every_container_is_restricted():
    """Each container: read-only, no capability, no new privilege, bounded memory, processes and log."""
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert service["pids_limit"] <= 500, name
        assert re.fullmatch("[0-9]+[mg]", service["mem_limit"]), name
        assert {"max-size", "max-file"} <= set(service["logging"]["options"]), name
        assert service["healthcheck"]["test"][0] == "CMD", name


def test_ports_are_open_to_this_host_only():
    """Only this host reaches the service, since a client could forge X-Forwarded-For; Redis has no published port."""
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert set(published) == {"otp"}
    assert [port.split(":")[0] for port in published["otp"]] == ["127.0.0.1"]


def test_only_the_service_and_the_worker_reach_redis():
    """Redis is on an internal network with the service and the worker only."""
    on_network = {name for name, service in services().items() if "redis" in service.get("networks", [])}
    assert compose()["networks"]["redis"]["internal"] is True
    assert on_network == {"otp", "worker", "redis"}
    assert services()["redis"]["networks"] == ["redis"]


def test_every_secret_is_a_file_that_holds_a_setting():
    """Secrets come from deploy/secrets, excluded from git and the image, in files named like settings."""
    declared = compose()["secrets"]
    assert {name for service in services().values() for name in service["secrets"]} == set(declared)
    assert set(declared) - NO_SETTING <= NAMES
    assert {source["file"] for source in declared.values()} == {f"deploy/secrets/{name}" for name in declared}
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert set(services()["redis"]["secrets"]) == {"redis_users"}
    for name in OURS:
        assert not {key.lower() for key in services()[name]["environment"]} & set(declared)


def test_every_setting_that_compose_names_exists():
    """Every variable in the compose file and the image is a setting, and the worker is a container of its own."""
    for name in OURS:
        assert {key.lower() for key in services()[name]["environment"]} <= NAMES
        assert services()[name]["environment"]["OTP_WORKER"] == "false"
    in_image = re.findall(r"\b((?:OTP|TWILIO|REDIS)_[A-Z_]+)=", " ".join(arguments("ENV")))
    assert {key.lower() for key in in_image} <= NAMES


def test_the_stop_timeout_outlasts_the_drain():
    """Compose and systemd wait longer than requests and confirmations take to finish."""
    for name in OURS:
        assert seconds(services()[name]["stop_grace_period"]) > STOP_SECONDS
    assert int(values("TimeoutStopSec")[0]) > STOP_SECONDS + 6  # the embedded server stops last
    assert Settings.model_fields["otp_drain_seconds"].default <= DRAIN_SECONDS


def test_a_reload_of_the_unit_sends_sighup():
    """ExecReload sends SIGHUP to the main process only."""
    assert values("ExecReload") == ["kill -HUP $MAINPID"]


async def probe(name, url):
    """Run the health check of a service against another address; return its exit status."""
    *words, code = services()[name]["healthcheck"]["test"]
    assert words == ["CMD", "python", "-c"]
    code, count = re.subn(r"http://(127\.0\.0\.1|otp):8000", url, code)
    assert count == 1
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stderr=subprocess.DEVNULL)
    return await process.wait()


async def test_the_health_checks_detect_a_failed_service(start, redis, eventually):
    """A running service is healthy and a closed port is not; the worker is healthy only while a worker runs."""
    service = await start()
    closed = f"http://127.0.0.1:{free_port()}"
    assert await probe("otp", service.url) == 0
    assert await probe("otp", closed) != 0
    assert await eventually(lambda: redis.exists("otp:worker"))
    assert await probe("worker", service.url) == 0
    assert await probe("worker", closed) != 0


async def test_the_health_check_of_the_worker_fails_without_a_worker(start):
    """With OTP_WORKER=false and no worker anywhere, nothing is confirmed, and the health check of the worker fails."""
    service = await start(otp_worker=False)
    assert await probe("otp", service.url) == 0
    assert await probe("worker", service.url) == 1


@pytest.mark.parametrize("name", OURS)
def test_compose_starts_commands_that_exist(name):
    """Each of our containers runs an existing command with existing options."""
    accept(services()[name].get("command") or json.loads(arguments("CMD")[0]))


# --- deploy/Dockerfile


def test_the_image_is_pinned_small_and_not_root():
    """Both stages have one base with a fixed minor version; uv has the Makefile's version; the user is not root."""
    bases = {argument.split(" AS ")[0] for argument in arguments("FROM")}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.[0-9]+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", bases.pop())
    [in_makefile] = re.findall(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert re.findall(r"uv==([0-9.]+)", " ".join(arguments("RUN"))) == [in_makefile]
    assert all("--locked --no-dev" in step for step in arguments("RUN") if "uv sync" in step)
    assert [int(part) > 0 for part in arguments("USER")[-1].split(":")] == [True, True]


def test_the_image_has_the_version_of_the_package():
    """The label and the tag in the compose file are the version in the package's metadata."""
    assert f'org.opencontainers.image.version="{VERSION}"' in arguments("LABEL")[0]
    assert {services()[name]["image"] for name in OURS} == {f"otp-service:{VERSION}"}


def test_the_build_context_contains_only_what_is_copied():
    """The build context contains exactly the sources of COPY, which exist; secrets and everything else are excluded."""
    rules = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    assert rules[0] == "*"
    let_through = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source.removeprefix("./")
        for argument in arguments("COPY")
        if "--from=" not in argument
        for source in argument.split()[:-1]
    }
    assert copied == let_through
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_starts_a_command_that_exists():
    """ENTRYPOINT and CMD are lists, so that signals reach the service, and form a command with existing options."""
    assert json.loads(arguments("ENTRYPOINT")[0]) == ["otp-service"]
    accept(json.loads(arguments("CMD")[0]))


def test_hadolint_accepts_the_dockerfile():
    """Hadolint reports nothing."""
    hadolint = Path(sys.executable).parent / "hadolint"
    result = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False, timeout=30)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


# --- deploy/make-secrets.sh and deploy/redis.conf


@pytest.fixture
def made(tmp_path):
    """Run a copy of make-secrets.sh; return the folder that it fills."""
    script = tmp_path / "deploy" / "make-secrets.sh"
    script.parent.mkdir()
    shutil.copy(DEPLOY / "make-secrets.sh", script)
    make_secrets(script.parent)
    return script.parent / "secrets"


def make_secrets(folder, *arguments):
    """Run the script in a folder; return its output."""
    command = ["sh", str(folder / "make-secrets.sh"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_the_script_makes_every_secret_once(made):
    """All files that compose names are there, closed to other users of this host; a second run changes nothing."""
    names = set(compose()["secrets"])
    assert {path.name for path in made.iterdir()} == names
    assert made.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in made.iterdir()} == {0o644}
    (made / "twilio_auth_token").write_text("the token")
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    assert make_secrets(made.parent) == ""
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def test_the_script_makes_the_secrets_of_systemd_in_a_given_folder(tmp_path):
    """The script makes the files that systemd loads, readable by their owner only; a second run changes nothing."""
    folder = tmp_path / "etc" / "secrets"
    assert str(folder / "twilio_auth_token") in make_secrets(DEPLOY, folder)
    assert {path.name for path in folder.iterdir()} == {value.split(":")[0] for value in values("LoadCredential")}
    assert {path.stat().st_mode & 0o777 for path in [folder, *folder.iterdir()]} == {0o700, 0o600}
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    make_secrets(DEPLOY, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(("option", "status"), [("--help", 0), ("-h", 0), ("--force", 1)])
def test_the_script_prints_its_usage(tmp_path, option, status):
    """An option makes no secrets: the script prints one line of usage, and fails unless the option is for help."""
    command = ["sh", str(DEPLOY / "make-secrets.sh"), option]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert re.fullmatch(r"Usage: sh \S+make-secrets\.sh \[FOLDER\] .*\n", ended.stderr)
    assert list(tmp_path.iterdir()) == []


def test_the_generated_secrets_are_accepted(made, monkeypatch):
    """The keys are strong enough to serve with, and differ; only Twilio's values are missing."""
    monkeypatch.chdir(made.parent)
    settings = load_settings(otp_secrets_dir=str(made))
    assert missing_secrets(settings) == []
    assert re.fullmatch(r"redis://otp:[0-9a-f]{64}@redis:6379/0", settings.redis_url)
    assert settings.twilio_auth_token == ()


def test_each_line_of_redis_conf_has_a_comment():
    """Every directive has a comment above it."""
    lines = (DEPLOY / "redis.conf").read_text("utf-8").splitlines()
    pairs = [(above, line) for above, line in pairwise(lines) if line[:1].islower()]
    assert len(pairs) > 5
    assert [line for above, line in pairs if not above.startswith("# ")] == []


@pytest.fixture(params=["valkey", "redis"])
def redis_server(request, made, tmp_path):
    """Start a server as compose does, on this machine's addresses and in a folder of the test; yield its port."""
    binary = str(_binary()) if request.param == "valkey" else shutil.which("redis-server")
    if binary is None:
        absent("there is no redis-server here, so deploy/redis.conf is not tried with Redis itself")
    (tmp_path / "data").mkdir()
    _, *options = services()["redis"]["command"]
    here = {"/etc/redis.conf": DEPLOY / "redis.conf", "/data": tmp_path / "data", "/run/secrets": made}
    options = [str(here.get(option, option)).replace("/run/secrets", str(made)) for option in options]
    port = free_port()
    addresses = filter(None, ["127.0.0.1", own_address()])
    with running([binary, *options, "--bind", *addresses, "--port", str(port)], port):
        yield port


@contextmanager
def running(command, port):
    """Run a server until the block ends; enter the block once it listens."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        if not wait_until_listening(process, port):
            process.kill()
            pytest.fail(f"{command[0]} did not start:\n{process.communicate()[0]}")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


async def test_the_service_works_with_the_redis_of_compose(redis_server, made, start, eventually):
    """With deploy/redis.conf and the restricted user, `check` has no complaint and a code is approved and confirmed."""
    url = (made / "redis_url").read_text().strip().replace("@redis:6379", f"@127.0.0.1:{redis_server}")
    service = await start(redis_url=url)
    result = await examine(service.settings.model_copy(update={"otp_brand": "Rooster", "otp_public_url": service.url}))
    assert [finding.text for finding in result if "edis" in finding.text and finding.level != "ok"] == []
    assert [finding.text for finding in result if finding.level == "error"] == []
    issued = await service.issue()
    assert (await service.verify(issued["id"], service.codes()[0]))["verdict"] == "approved"
    assert await eventually(lambda: service.confirmed() == {service.messages()[0].sid})
    _, ready, _ = await service.call("GET", "/readyz")
    assert ready["confirming"] == "ok"


def test_redis_accepts_clients_from_other_hosts(redis_server, made):
    """The service has its own container: with the password it reaches Redis from another address than loopback."""
    command = services()["redis"]["command"]
    assert ("--protected-mode", "no") in list(pairwise(command))
    assert "protected-mode" not in (DEPLOY / "redis.conf").read_text("utf-8")  # applies without an ACL, too
    url = urlsplit((made / "redis_url").read_text())
    if address := own_address():
        with redis_py.Redis(address, redis_server, username=url.username, password=url.password) as ours:
            assert ours.set("otp:x", "1", ex=1)


def test_without_a_password_only_ping_is_allowed(redis_server, made):
    """The health check needs no secret: PING works, everything else is refused; the service has no admin commands."""
    url = urlsplit((made / "redis_url").read_text())
    with redis_py.Redis(port=redis_server) as anonymous:
        assert anonymous.ping()
        for refused in (["GET", "otp:keys"], ["INFO"], ["CONFIG", "GET", "*"]):
            with pytest.raises(redis_py.exceptions.NoPermissionError):
                anonymous.execute_command(*refused)
    with redis_py.Redis(port=redis_server, username=url.username, password=url.password) as ours:
        assert ours.info()["aof_enabled"] == 1
        for refused in (["FLUSHALL"], ["CONFIG", "SET", "appendonly", "no"], ["SHUTDOWN"], ["SET", "other:x", "1"]):
            with pytest.raises(redis_py.exceptions.NoPermissionError):
                ours.execute_command(*refused)


# --- deploy/otp-service.service


def test_the_installation_steps_of_the_unit_work(tmp_path):
    """The comment at the head of the unit enters the cloned folder before it names relative paths, and they exist."""
    text = (DEPLOY / "otp-service.service").read_text("utf-8")
    [commands] = re.findall(r"^#\n((?:#   .+\n)+)#\n", text, re.MULTILINE)[:1]
    commands = re.sub(r"^#   | {3,}\(.*\)$", "", commands, flags=re.MULTILINE)
    before, entered, after = commands.partition("cd /opt/otp-service && ")
    assert entered
    relative = re.compile(r"(?<!\S)(?:\.\w|\w+/)\S+")
    assert relative.findall(before) == []
    named = relative.findall(after)
    assert len(named) == 3
    assert [name for name in named if not (ROOT / name).exists()] == []
    [target] = re.findall(r"\bmake (\S+)", after)
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_starts_a_command_that_exists(name):
    """ExecStart is an existing command with existing options."""
    program, *words = shlex.split(values("ExecStart", name)[0])
    assert Path(program).name == "otp-service"
    accept(words)


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_loads_every_secret_that_serving_needs(name):
    """LoadCredential names settings, including the three required ones, and the service reads that folder."""
    loaded = dict(value.split(":", 1) for value in values("LoadCredential", name))
    assert {"otp_secret_keys", "otp_index_key", "twilio_auth_token"} <= set(loaded) <= NAMES
    assert all(Path(path).name == setting for setting, path in loaded.items())
    environment = dict(value.split("=", 1) for value in values("Environment", name))
    assert environment["OTP_SECRETS_DIR"] == "%d"
    assert {setting.lower() for setting in environment} <= NAMES


def test_the_unit_of_the_worker_is_as_restricted_as_the_service():
    """Service and worker have the same restrictions: their units differ only in what serving needs."""
    serving = {"StateDirectory", "StateDirectoryMode", "ExecReload", "KillMode", "LimitNOFILE"}
    own = {"Description", "ExecStart", "TimeoutStopSec", "MemoryMax", "TasksMax"}
    kept = [line for line in unit() if line[0] not in serving | own]
    assert [line for line in unit("otp-worker") if line[0] not in own] == kept
    assert int(values("TimeoutStopSec", "otp-worker")[0]) > WORKER_SECONDS


@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_the_unit(tmp_path, name):
    """`systemd-analyze verify` reports nothing, and the exposure of the unit is at most 1.5 of 10."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here; in CI neither, perhaps: a container may have no systemd")
    copy = tmp_path / f"{name}.service"
    program = Path(sys.executable).parent / "otp-service"
    text = (DEPLOY / f"{name}.service").read_text("utf-8")
    copy.write_text(text.replace("/opt/otp-service/.venv/bin/otp-service", str(program)), "utf-8")
    for command in (["verify", str(copy)], ["security", "--offline=yes", "--threshold=15", str(copy)]):
        result = subprocess.run([analyze, *command], capture_output=True, text=True, check=False, timeout=50)
        assert result.returncode == 0, result.stdout + result.stderr
        if command[0] == "verify":
            assert result.stdout + result.stderr == ""
