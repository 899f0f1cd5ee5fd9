"""The promises behind a proxy (promise 14): callers share its connections, and receive only their own responses.

Random messages of strangers go through the real nginx and Caddy with the project's examples, and through Caddy without
the lines that drop `Upgrade`, while honest callers issue and check codes. `make desync` plays longer.
"""

import random
import secrets
from contextlib import asynccontextmanager

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.attacks.desync import LONG, SECONDS, SEED
from tests.attacks.desync_messages import messages
from tests.attacks.strangers import HonestCaller, Stranger, Traffic
from tests.attacks.test_desync import service_target
from tests.proxies import UNLOCKED, new_proxy, proxy_before

STRANGERS, HONEST_CALLERS = 12, 6


async def own_approval(service):
    """Approve a verification of the stranger; return the request that repeats this response."""
    issued = await service.issue("+14155550100")
    path, key = f"/v1/verifications/{issued['id']}/verify", secrets.token_hex(8)
    [code] = service.codes("+14155550100")
    _, body, _ = await service.call("POST", path, {"code": code}, headers={"Idempotency-Key": key})
    assert body["valid"]
    sent = b'{"code":"%b"}' % code.encode()
    lines = f"Authorization: Bearer {issued['client_token']}\r\nIdempotency-Key: {key}\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Type: application/json\r\nContent-Length: {len(sent)}"
    return head.encode() + b"\r\n\r\n" + sent


@asynccontextmanager
async def traffic_behind(proxy, start, folder, **options):
    """Start a service behind a proxy; yield its traffic, its callers, and a function for executed canaries."""
    service, target = await service_target(start, otp_trusted_proxies=1, lines=b"Host: 127.0.0.1\r\n", **options)
    traffic, draw = Traffic(service, proxy), random.Random(SEED)
    hidden = [
        target.canary,
        b"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-Ignored: ",
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n",
        await own_approval(service),
        target.valid,
    ]
    table = [each for each in messages(target) if len(each.sent) <= LONG]
    strangers = [Stranger(traffic, draw, table=table, hidden=hidden) for _ in range(STRANGERS)]
    honest = [HonestCaller(traffic, f"+1415555{1000 + number}") for number in range(HONEST_CALLERS)]
    with proxy_before(target.port, proxy, folder):
        yield traffic, [caller.call_on() for caller in (*strangers, *honest)], target.executed


EXAMPLES = {"nginx": ("nginx", {}), "Caddy": ("caddy", {}), "Caddy that passes Upgrade on": ("caddy", UNLOCKED)}


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("example", EXAMPLES)
async def test_honest_callers_receive_only_their_own_responses(start, tmp_path, example):
    """Promise 14: whatever strangers send, no caller receives another's response, and no canary is executed."""
    print(f"DESYNC_SEED={SEED}")
    name, changes = EXAMPLES[example]
    async with traffic_behind(new_proxy(name, changes), start, tmp_path) as (traffic, callers, executed):
        await traffic.during(SECONDS, callers)
    assert not traffic.complaints, "\n".join([f"DESYNC_SEED={SEED}", *traffic.complaints[:20]])
    assert executed() == [], f"DESYNC_SEED={SEED}"


@pytest.mark.slow
async def test_a_server_that_mixes_up_callers_is_detected(start, tmp_path):
    """Control: with uvicorn's own protocol and Upgrade behind Caddy, a caller soon receives another's response."""
    proxy = new_proxy("caddy", UNLOCKED)
    async with traffic_behind(proxy, start, tmp_path, protocol=HttpToolsProtocol) as (traffic, callers, _):
        await traffic.during(30, callers)
    assert traffic.complaints
