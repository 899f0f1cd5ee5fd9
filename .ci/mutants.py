"""Say how many mutants the tests noticed, module by module: `make mutants` runs it after mutmut, with its exit status.

Each module that `only_mutate` names must have mutants, and notice nine of ten. A mutant that time did not suffice for
counts as not noticed, so a run that `timeout` ended is checked like any other; any other end of mutmut is a failure.
"""

import json
import sys
import tomllib
from pathlib import Path

_WANTED = 0.9
_SURVIVED, _NO_TESTS = 0, (5, 33)  # mutmut's exit codes; all others are a test that failed, hung or crashed
_RAN, _RAN_OUT_OF_TIME = 0, 124  # the second is `timeout`'s


def main() -> int:
    """Print what the run in this folder came to, and give the exit status."""
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
    status, lines = check(int(sys.argv[1]), Path("mutants"), project["tool"]["mutmut"]["only_mutate"])
    print(*lines, sep="\n")
    return status


def check(ended: int, folder: Path, modules: list[str]) -> tuple[int, list[str]]:
    """Check how mutmut ended and what it left for each module: (exit status, what to say)."""
    if ended not in (_RAN, _RAN_OUT_OF_TIME):
        return 1, [f"mutmut failed with status {ended}: see mutants.log"]
    failed, lines = not modules, []
    for module in modules:
        is_noticing, said = check_module(module, folder / f"{module}.meta")
        failed |= not is_noticing
        lines += said
    return int(failed), lines


def check_module(module: str, meta: Path) -> tuple[bool, list[str]]:
    """Check one module by what mutmut noted of it: (whether enough was noticed, what to say)."""
    ended: dict[str, int | None] = json.loads(meta.read_text("utf-8"))["exit_code_by_key"] if meta.exists() else {}
    if not ended:
        return False, [f"{module}\tno mutants"]
    noticed = sum(is_noticed(code) for code in ended.values())
    lines = [f"{module}\t{noticed} of {len(ended)}\t{noticed / len(ended):.0%}"]
    lines += [f"    survived: {name}" for name, code in ended.items() if code is not None and not is_noticed(code)]
    untried = sum(code is None for code in ended.values())
    if untried:
        lines.append(f"    not tried: {untried}")
    return noticed >= _WANTED * len(ended), lines


def is_noticed(code: int | None) -> bool:
    """Tell whether a mutant was noticed, from the exit code of its tests."""
    return code is not None and code != _SURVIVED and code not in _NO_TESTS


if __name__ == "__main__":
    sys.exit(main())
