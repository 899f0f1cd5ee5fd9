"""The promises of one connection (promise 14): one request, one response, and no byte of a body is a request.

Some hundred unusual messages go to `serve`'s application, with and without an Origin, and to the simulator: whole, in
two at many places, and byte by byte, then in random rows cut at random places. `make desync` cuts at every byte and
plays the rows longer. The control is uvicorn's own protocol, which takes the bytes after a request with Upgrade for the
next request.
"""

import random
import re
import secrets
import time
from urllib.parse import urlencode

import aiohttp
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.sandbox import SandboxSettings, create_sandbox
from tests.attacks.desync import LONG, SECONDS, SEED, Target, faults_of, faults_of_message
from tests.attacks.desync_messages import messages
from tests.conftest import serving

STAYS = re.compile("([a-z0-9 ]+ )open")  # the outcome of a message after which the connection certainly stays open
ORIGIN = "https://login.example.com"
JSON = b"Content-Type: application/json\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


def port_of(url):
    """Return the port of a URL."""
    return int(url.rpartition(":")[2])


class RequestLog:
    """The service's request log; it recognises the canary by its request id."""

    canary = secrets.token_hex(8)

    def __init__(self):
        self.executed = []

    def __call__(self, event, **fields):
        """Handle one line."""
        if event == "request" and fields["request_id"] == self.canary:
            self.executed.append(f"{fields['method']} {fields['route']}")

    def take(self):
        """Return the canaries executed since the last call."""
        executed, self.executed = self.executed, []
        return sorted(set(executed))


async def service_target(start, *, lines=b"Host: x\r\n", **options):
    """Start the service; return it, and its target."""
    log = RequestLog()
    service = await start(otp_worker=False, event_log=log, **options)
    return service, target_of(service, lines, log.take)


async def process_target(start, launch):
    """Start `serve` as a process, with its usual event loop; return it as a target."""
    process = await launch(await start(otp_worker=False))
    executed = lambda: [line for line in process.log.splitlines() if RequestLog.canary in line]  # noqa: E731
    return target_of(process.client, b"Host: x\r\n", executed)


def target_of(service, lines, executed):
    """Return a running service as a target."""
    return Target(
        port=port_of(service.url),
        get=b"/livez",
        post=b"/v1/verifications/ve_%b/verify" % (b"0" * 32),
        lines=lines,
        credential=b"Authorization: Bearer %b\r\n" % service.key.encode(),
        media_type=JSON,
        valid=b'{"code":"000000"}',
        canary=b"GET /v1 HTTP/1.1\r\n%bX-Request-Id: %b\r\n\r\n" % (lines, RequestLog.canary.encode()),
        probe=b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\n\r\n",
        words={
            "read": "200",
            "valid": "404",
            "malformed": "(400|422)",
            "broken": "400",
            "denied": "401",
            "unasked": "400",
        },
        executed=executed,
    )


def simulator_target(url, sandbox):
    """Return a running simulator as a target; a canary plans a fault in it."""

    def executed():
        planned = [str(plan) for plan in sandbox.faults.planned()]
        sandbox.faults.end()
        return planned

    account = sandbox.settings
    plan = b'{"endpoint":"calls","kind":"500"}'
    return Target(
        port=port_of(url),
        get=b"/_/stats",
        post=b"/2010-04-01/Accounts/%b/Messages.json" % account.account_sid.encode(),
        lines=b"Host: x\r\n",
        credential=b"Authorization: %b\r\n"
        % aiohttp.encode_basic_auth(account.account_sid, account.auth_token).encode(),
        media_type=FORM,
        valid=urlencode({"To": "+14155550123", "From": account.pool_number, "Body": "x"}).encode(),
        canary=b"POST /_/faults HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(plan), plan),
        probe=b"GET /{id} HTTP/1.1\r\nHost: x\r\n\r\n",
        words={"read": "200", "valid": "201", "malformed": "400", "broken": "400", "denied": "401", "unasked": "200"},
        executed=executed,
    )


@pytest.fixture(params=["service", "service with an Origin", "serve as a process", "simulator"])
async def target(request, start, launch):
    """Serve each of the servers; yield it as a target."""
    if request.param == "simulator":
        service = await start(otp_worker=False)
        return simulator_target(service.sandbox_url, service.sandbox)
    if request.param == "serve as a process":
        return await process_target(start, launch)
    if request.param == "service":
        return (await service_target(start))[1]
    lines = b"Host: x\r\nOrigin: %b\r\n" % ORIGIN.encode()
    return (await service_target(start, lines=lines, otp_cors_origins=ORIGIN))[1]


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_each_request_has_one_response_however_its_bytes_arrive(target):
    """Promise 14: cut at any byte, a message has the expected outcome, and no canary is executed."""
    table = messages(target)
    assert len({message.name for message in table}) == len(table) > 100
    faults = [fault for message in table for fault in await faults_of_message(target, message)]
    assert faults == [], summary(faults)


def summary(faults):
    """Return the first faults, and their number."""
    return "\n".join([f"{len(faults)} faults (DESYNC_SEED={SEED}):", *sorted(faults, key=len)[:20]])


def random_rows(table, draw, *, seconds):
    """Yield random rows of messages, the last of which may close, cut at random places; for some seconds."""
    short = [each for each in table if len(each.sent) <= LONG and not each.sent.startswith(b"HEAD ")]
    staying = [each for each in short if STAYS.fullmatch(each.right)]
    started = time.monotonic()
    while time.monotonic() < started + seconds:
        row = [*draw.choices(staying, k=draw.randint(0, 4)), draw.choice(short)]
        sent = b"".join(message.sent for message in row)
        cuts = sorted(draw.sample(range(1, len(sent)), k=draw.randint(0, 8)))
        pieces = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
        right = "".join(STAYS.fullmatch(message.right)[1] for message in row[:-1]) + f"({row[-1].right})"
        yield " + ".join(message.name for message in row), f"cut at {cuts}", pieces, right


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
async def test_responses_to_rows_of_requests_are_in_order(target):
    """Promise 14: rows of unusual messages on one connection, cut at random places, have the expected outcomes."""
    print(f"DESYNC_SEED={SEED}")
    rows = random_rows(messages(target), random.Random(SEED), seconds=SECONDS)
    faults = await faults_of(target, rows)
    assert faults == [], summary(faults)


@pytest.fixture
async def naive_target():
    """Serve the simulator with uvicorn's own protocol, which is known to desync; return it as a target."""
    sandbox = create_sandbox(SandboxSettings())
    async with serving(sandbox, protocol=HttpToolsProtocol) as url:
        yield simulator_target(url, sandbox)


async def test_a_desync_is_detected(naive_target):
    """Control: dropped or executed bodies and second responses are reported."""
    by_name = {message.name: message for message in messages(naive_target)}
    faults = {
        name: "\n".join(await faults_of_message(naive_target, by_name[name]))
        for name in ("upgrade h2c, length", "upgrade, valid body", "POST before garbage", "two GETs", "chunk extension")
    }
    assert "a canary was executed" in faults["upgrade h2c, length"]
    assert "400 201 open; right is: malformed open" in faults["upgrade h2c, length"]
    assert "400 open; right is: valid open" in faults["upgrade, valid body"]
    assert "400 closes; right is: valid 400 closes" in faults["POST before garbage"]
    assert faults["two GETs"] == faults["chunk extension"] == ""


async def test_random_rows_detect_a_desync(naive_target):
    """Control: random rows detect within two seconds that requests with Upgrade go wrong."""
    rows = random_rows(messages(naive_target), random.Random(SEED), seconds=2)
    faults = await faults_of(naive_target, rows)
    assert any("upgrade" in fault for fault in faults)
