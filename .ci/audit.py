"""Audit what uv.lock holds: fail for a known vulnerability, and say so where nobody could be asked.

`make audit` runs it after bandit. pip-audit asks the package index for advisories; a mirror may have none, and a
machine may have no network. That is no fault of the tree, so it fails nothing, but it never passes for an audit.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_BIN = Path(sys.executable).parent
_NETWORK = re.compile("ConnectionError|ConnectTimeout|ReadTimeout|Max retries exceeded|timed out")


def main() -> int:
    """Audit, print what came out, and give the exit status."""
    with tempfile.TemporaryDirectory(prefix="otp-audit-") as folder:
        locked = Path(folder, "requirements.txt")
        export = ["export", "--quiet", "--locked", "--all-groups", "--no-emit-project", "--output-file", str(locked)]
        subprocess.run([_BIN / "uv", *export], check=True, stdout=subprocess.DEVNULL)
        audit = ["--requirement", str(locked), "--require-hashes", "--disable-pip", "--format=json"]
        ran = subprocess.run(
            [_BIN / "pip-audit", *audit, "--progress-spinner=off"], check=False, capture_output=True, text=True
        )
    status, lines = check(ran.stdout, ran.stderr)
    print(*lines, sep="\n")
    return status


def check(report: str, complaints: str) -> tuple[int, list[str]]:
    """Check pip-audit's JSON and its complaints: (exit status, what to say)."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        said = complaints.strip().splitlines()[-1:] or ["pip-audit said nothing"]
        if _NETWORK.search(complaints):
            return 0, ["NOT AUDITED: the advisories cannot be reached from here.", *said]
        return 1, ["pip-audit failed.", *said]
    found = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no release yet'}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    ]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        found.append(f"NOT AUDITED: {len(skipped)} of {len(packages)} packages; the index here has no advisories.")
    vulnerable = any(package.get("vulns") for package in packages)
    return int(vulnerable), found or [f"No known vulnerability in {len(packages)} packages."]


if __name__ == "__main__":
    sys.exit(main())
