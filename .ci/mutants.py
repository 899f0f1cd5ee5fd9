"""Say how many mutants the tests noticed, module by module: `make mutants` runs it after mutmut.

Each module must notice nine of ten. A mutant that time did not suffice for counts as not noticed.
"""

import json
import sys
from pathlib import Path

_WANTED = 0.9
_SURVIVED, _NO_TESTS = 0, (5, 33)  # mutmut's exit codes; all others are a test that failed, hung or crashed


def main() -> int:
    """Print the figure of each module and the mutants that live; give the exit status."""
    failed = False
    for path in sorted(Path("mutants").rglob("*.py.meta")):
        ended: dict[str, int | None] = json.loads(path.read_text("utf-8"))["exit_code_by_key"]
        if not ended:
            continue
        noticed = sum(is_noticed(code) for code in ended.values())
        print(f"{path.relative_to('mutants').with_suffix('')}\t{noticed} of {len(ended)}\t{noticed / len(ended):.0%}")
        untried = sum(code is None for code in ended.values())
        for name, code in ended.items():
            if code is not None and not is_noticed(code):
                print(f"    survived: {name}")
        if untried:
            print(f"    not tried: {untried}")
        failed |= noticed < _WANTED * len(ended)
    return int(failed)


def is_noticed(code: int | None) -> bool:
    """Tell whether a mutant was noticed, from the exit code of its tests."""
    return code is not None and code != _SURVIVED and code not in _NO_TESTS


if __name__ == "__main__":
    sys.exit(main())
