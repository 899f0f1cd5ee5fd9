"""The report: every budget of the design with its measured value, and plots, from the saved results of the benches.

    python tests/bench/report.py

Writes `tests/bench/results/report.md`, prints the same, and draws throughput and latency as SVG and PNG next to it.
A bench that has not run is listed as missing; a budget that is not met is reported, but the exit status stays 0.
"""

import statistics

import matplotlib as mpl
from results import FOLDER, load

mpl.use("Agg")
from matplotlib import pyplot as plt

BENCHES = (
    "verify", "wait", "pairs", "hung", "growth", "lag", "round_trips", "memory", "redis_client", "open_loop", "start",
    "peers", "dashboard",
)  # fmt: skip
COLOURS = {"service": "#0b6e4f", "plain": "#9a9a9a", "ceiling": "#c8a13a"}


def main():
    """Write the table and the plots."""
    saved = {name: content for name in BENCHES if (content := load(name)) is not None}
    if not saved:
        raise SystemExit("Nothing has been measured yet: make bench")
    text = "\n".join([*table(saved), "", *on_what(saved)])
    (FOLDER / "report.md").write_text(text + "\n")
    print(text)
    if "verify" in saved:
        draw_throughput(saved["verify"]["rows"])
    if "open_loop" in saved:
        draw_latency(saved["open_loop"]["rows"])


def table(saved):
    """Return a line for each budget of each bench."""
    lines = ["| what | wanted | measured | spread | |", "|---|---|---|---|---|"]
    return lines + [row(budget) for content in saved.values() for budget in content["budgets"]]


def row(budget):
    """Return the line of one budget."""
    unit = budget["unit"]
    wanted = f"≥ {budget['least']:g}" if budget["least"] is not None else f"≤ {budget['most']:g}"
    spread = "" if budget["spread"] is None else f"{budget['spread'][0]:.2f} to {budget['spread'][1]:.2f}"
    verdict = "met" if budget["is_met"] else "**not met**"
    return f"| {budget['what']} | {wanted} {unit} | {budget['measured']:.3g} {unit} | {spread} | {verdict} |"


def on_what(saved):
    """Describe the machine, and the benches that have not run."""
    machine = next(iter(saved.values()))["machine"]
    missing = [name for name in BENCHES if name not in saved]
    lines = [", ".join(f"{name} {value}" for name, value in machine.items())]
    return [*lines, f"Not run: {', '.join(missing)}."] if missing else lines


def draw_throughput(rows):
    """Draw checks per second of each target, one dot a round, the bar at their median."""
    figure, axes = plt.subplots(figsize=(7, 3))
    bars = [(name, runs, "1 worker") for name, runs in rows["one worker"].items()]
    bars += [(name, runs, "2 workers") for name, runs in rows["two workers"].items()]
    for place, (name, runs, workers) in enumerate(bars):
        readings = [run["per_second"] for run in runs]
        axes.barh(place, statistics.median(readings), color=COLOURS[name], alpha=0.85 if workers == "1 worker" else 0.5)
        axes.plot(readings, [place] * len(readings), "k.", markersize=4)
    axes.set_yticks(range(len(bars)), [f"{name}, {workers}" for name, _, workers in bars])
    axes.invert_yaxis()
    axes.set_xlabel("checks per second (a dot is a round)")
    write(figure, "throughput")


def draw_latency(rows):
    """Draw the 99th percentile of the time of a check against the load, up to nine tenths of the capacity."""
    figure, axes = plt.subplots(figsize=(7, 3.5))
    for name, offers in rows["offered"].items():
        loads = sorted({offer["per_second"] for offer in offers})
        p99_ms = [statistics.median(one["p99_ms"] for one in offers if one["per_second"] == load) for load in loads]
        axes.plot(loads, p99_ms, "o-", color=COLOURS[name], label=name)
    axes.set_yscale("log")
    axes.set_xlabel("checks per second offered (open loop)")
    axes.set_ylabel("p99 in ms")
    axes.legend(frameon=False)
    write(figure, "latency")


def write(figure, name):
    """Save a plot as SVG and PNG."""
    figure.tight_layout()
    for kind in ("svg", "png"):
        figure.savefig(FOLDER / f"{name}.{kind}", dpi=120)
    plt.close(figure)
    print(f"drawn: {FOLDER.name}/{name}.svg")


if __name__ == "__main__":
    main()
