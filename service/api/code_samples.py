"""Code samples for the OpenAPI document: each operation in curl, Python and JavaScript, made from its first example.

They read the address, the API key and the id of a verification from the environment. Tests run them.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_SIGNATURE = "X-Twilio-Signature"
_KNOWN = {"verification_id": "ID"}  # parameters of paths that come from the environment; of the others there is 1

_PYTHON_VARIABLE = "{{os.environ['{}']}}"
_JAVASCRIPT_VARIABLE = "${{process.env.{}}}"


class _Call(NamedTuple):
    method: str
    path: list[str]  # texts and names of variables in turn
    headers: Mapping[str, tuple[str, str]]  # a text before the value, and its variable
    body: Any
    is_form: bool


def code_samples(method: str, path: str, *, has_key: bool, body_type: str, body: Any) -> list[dict[str, str]]:
    """Write the samples of an operation. `body` is the value of an example; None for no body."""
    is_form = body is not None and "form" in body_type
    headers = {"Authorization": ("Bearer ", "OTP_KEY")} if has_key else {_SIGNATURE: ("", "SIGNATURE")}
    parts = re.split(r"\{(\w+)\}", re.sub(r"\{(?!verification_id)\w+\}", "1", path))
    parts[1::2] = [_KNOWN[name] for name in parts[1::2]]
    call = _Call(method.upper(), parts, headers if has_key or is_form else {}, body, is_form)
    samples = (("Shell", "curl", _curl), ("Python", "Python", _python), ("JavaScript", "JavaScript", _javascript))
    return [{"lang": lang, "label": label, "source": write(call)} for lang, label, write in samples]


def _filled(parts: Iterable[str], variable: str) -> str:
    """Put variables into a path, in the form of a language."""
    return "".join(variable.format(part) if index % 2 else part for index, part in enumerate(parts))


def _curl(call: _Call) -> str:
    method = "-X POST " if call.method == "POST" and call.body is None else ""
    lines = [f'curl {method}"$OTP_URL{_filled(call.path, "${}")}"']
    lines += [f'-H "{name}: {prefix}${variable}"' for name, (prefix, variable) in call.headers.items()]
    if call.is_form:
        lines += [f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in call.body.items()]
    elif call.body is not None:
        lines += ['-H "Content-Type: application/json"', f"-d {shlex.quote(json.dumps(call.body))}"]
    return " \\\n  ".join(lines)


def _python(call: _Call) -> str:
    path = _filled(["", "OTP_URL", *call.path], _PYTHON_VARIABLE)
    lines = [f'f"{path}",']
    given = [f'"{name}": f"{prefix}{_PYTHON_VARIABLE.format(of)}"' for name, (prefix, of) in call.headers.items()]
    if given:
        lines.append(f"headers={{{', '.join(given)}}},")
    if call.body is not None:
        lines.append(f"{'data' if call.is_form else 'json'}={json.dumps(call.body)},")
    arguments = "\n    ".join([*lines, "timeout=10,"])
    return (
        f"import os\n\nimport requests\n\nresponse = requests.{call.method.lower()}(\n    {arguments}\n)\n"
        "print(response.status_code, response.text)"
    )


def _javascript(call: _Call) -> str:
    given = [f'"{name}": `{prefix}{_JAVASCRIPT_VARIABLE.format(of)}`' for name, (prefix, of) in call.headers.items()]
    lines = [f'method: "{call.method}",'] if call.method != "GET" else []
    if call.body is not None and not call.is_form:
        given.append('"Content-Type": "application/json"')
    if given:
        lines.append(f"headers: {{ {', '.join(given)} }},")
    if call.body is not None:
        write = "new URLSearchParams" if call.is_form else "JSON.stringify"
        lines.append(f"body: {write}({json.dumps(call.body)}),")
    address = _filled(["", "OTP_URL", *call.path], _JAVASCRIPT_VARIABLE)
    written = "\n  ".join(lines)
    options = f", {{\n  {written}\n}}" if lines else ""
    return f"const response = await fetch(`{address}`{options});\nconsole.log(response.status, await response.text());"
