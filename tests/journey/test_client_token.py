"""The client token: what a front end without a secret may do with one verification."""

PATH = "/v1/verifications"


async def test_a_front_end_verifies_resends_and_reads_its_verification(running, eventually):
    """With `vt_…` a front end completes a verification, and the loop closes as for a back end."""
    issued = await running.issue()
    token, path = issued["client_token"], f"{PATH}/{issued['id']}"
    status, resent, _ = await running.call("POST", f"{path}/resend", key=token)
    assert (status, len(resent["sends"])) == (200, 2)
    status, shown, _ = await running.call("GET", path, key=token)
    assert (status, shown["status"]) == (200, "pending")
    status, checked, _ = await running.call("POST", f"{path}/verify", {"code": running.codes()[1]}, key=token)
    assert (status, checked["verdict"]) == (200, "approved")
    assert await eventually(running.confirmed) == {running.messages()[1].sid}


async def test_a_front_end_sees_a_masked_number(running):
    """Every response to a client token shows two digits of the number; the client token is not repeated."""
    issued = await running.issue()
    token, path = issued["client_token"], f"{PATH}/{issued['id']}"
    responses = [
        await running.call("GET", path, key=token),
        await running.call("POST", f"{path}/resend", key=token, headers={"Idempotency-Key": "a"}),
        await running.call("POST", f"{path}/resend", key=token, headers={"Idempotency-Key": "a"}),
        await running.call("POST", f"{path}/verify", {"code": "0000"}, key=token),
    ]
    for status, body, _ in responses:
        assert (status, body["to"]) == (200, "•" * 10 + "23")
        assert "4155550123"[:-2] not in str(body)
        assert "client_token" not in body


async def test_a_front_end_neither_cancels_nor_issues(running):
    """Only the back end may cancel and issue: 403 for both."""
    issued = await running.issue()
    token = issued["client_token"]
    for path, body in ((f"{PATH}/{issued['id']}/cancel", None), (PATH, {"to": "+14155550188"})):
        status, problem, _ = await running.call("POST", path, body, key=token)
        assert (path, status, problem["code"]) == (path, 403, "insufficient_scope")
    assert (await running.read(issued["id"]))["status"] == "pending"
    assert running.messages("+14155550188") == []


async def test_a_front_end_cannot_touch_another_verification(running):
    """A client token gets a 401 for every other id, known or not; so does an invented token."""
    mine, other = await running.issue(), await running.issue("+14155550188")
    code = running.codes("+14155550188")[0]
    for verification_id in (other["id"], "ve_" + "0" * 32):
        path = f"{PATH}/{verification_id}"
        for token in (mine["client_token"], "vt_", "vt_" + "A" * 32):
            for method, step, body in (
                ("GET", "", None),
                ("POST", "/verify", {"code": code}),
                ("POST", "/resend", None),
            ):
                status, problem, headers = await running.call(method, path + step, body, key=token)
                assert (step, status, problem["code"]) == (step, 401, "unauthenticated")
                assert headers["WWW-Authenticate"] == "Bearer"
    shown = await running.read(other["id"])
    assert (shown["status"], shown["attempts_remaining"], len(shown["sends"])) == ("pending", 5, 1)


async def test_a_front_end_is_limited_by_its_address(start):
    """Over the limit of its address a client token gets a 429 with Retry-After; an API key does not."""
    running = await start(otp_limit_peer="3/1m")
    issued = await running.issue()
    path = f"{PATH}/{issued['id']}"
    responses = [await running.call("GET", path, key=issued["client_token"]) for _ in range(4)]
    assert [status for status, _, _ in responses] == [200, 200, 200, 429]
    _, problem, headers = responses[-1]
    assert problem["code"] == "rate_limited"
    assert 1 <= int(headers["Retry-After"]) == problem["retry_after"] <= 64
    status, _, _ = await running.call(
        "POST", f"{path}/verify", {"code": running.codes()[0]}, key=issued["client_token"]
    )
    assert status == 429
    assert (await running.read(issued["id"]))["attempts_remaining"] == 5
    assert (await running.verify(issued["id"], running.codes()[0]))["verdict"] == "approved"
