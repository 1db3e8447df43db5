"""Tables and the plot of compare.py, from what it measured."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from ptywidgets.engine.io.atomic import PICTURE, atomic_file

LEVELS = {
    "small": (0.90, 0.94, 0.96, 0.98, 0.99),
    "small_dose1e4": (0.85, 0.88, 0.90, 0.92, 0.94),
    "full_counts": (0.85, 0.90, 0.93, 0.95, 0.96, 0.967, 0.975),
}
TICKS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
COLOURS = {"ours": "C3", "py4dstem": "C0", "phaser": "C2", "pty_chi": "C4", "ptyrad": "C1", "quantem": "C5"}
STYLES = ("-", "--", ":", "-.")
INTRODUCTION = """# Beside the peers

Written by `make bench`; nothing here is edited by hand.

Every program ran in a process of its own, got the same data, the true geometry and the true first probe, refined the
probe, held positions, and made one iteration whenever it was its turn, the others waiting. py4DSTEM, quantem and
ptywidgets took off descan themselves, the other peers got patterns with descan taken off by a cubic spline. Their steps
and batches are those of each project's examples, or what did best among a few tries; nobody tuned them to these data,
and a person who knows a program well may get more out of it. Correlations are those of the phase with the known one,
after a constant, a ramp and a shift are removed and both are low-passed at 0.6 of the highest frequency; they were
taken at iterations 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48 and 64, so a quality may have been reached a little earlier
than said. Sets without noise are scaled to 1e5 electrons per square angstrom, since some peers count on counts. Where
other work uses a core, programs whose threads wait by spinning (those on torch above all) lose most.

"Times ours" is an engine's least time over that of ptywidgets with a complex object, which it took turns with. "Set-up"
is what came before the first iteration and what that took longer than the others, which is mostly compiling; it counts
in no other column. "From file" is the exception: its seconds begin with opening the file, and finding rotation and lens
is among them.
"""


def write_report(results: dict[str, Any], docs: Path) -> None:
    """Write docs/peers.md and docs/images/peers.png."""
    machine = results["machine"]
    parts = [INTRODUCTION]
    parts.append(
        f"Measured on {results['date']}: {machine['cpu']}, {machine['cores']} cores, no GPU, load {machine['load']} "
        f"when it began. No engine began another iteration after {results['seconds']:g} s.\n"
    )
    parts.append("![Correlation with the truth against seconds](images/peers.png)\n")
    for name, measured in results["sets"].items():
        parts += _set(name, measured, results["missing"])
    parts += _programs(results)
    (docs / "peers.md").write_text("\n".join(parts))
    plot(results, docs / "images" / "peers.png")


def elapsed(record: dict[str, Any]) -> list[float]:
    """Seconds after each iteration, without what the first took to compile."""
    seconds = list(record["seconds"])
    if record["driver"] != "ours" and len(seconds) > 1:
        seconds[0] = min(seconds[0], statistics.median(seconds[1:]))
    return [sum(seconds[: i + 1]) for i in range(len(seconds))]


def seconds_to(record: dict[str, Any], level: float) -> tuple[float, int] | None:
    """Seconds and iterations after which the correlation was as high as `level` first."""
    times = elapsed(record)
    for iteration, (correlation, _) in record["scores"].items():
        if correlation >= level:
            return times[int(iteration) - 1], int(iteration)
    return None


def _set(name: str, measured: dict[str, Any], missing: dict[str, str]) -> list[str]:
    shape = " x ".join(map(str, measured["shape"]))
    floor = ", ".join(f"{library} {seconds * 1e6:.0f} µs" for library, seconds in measured["fft"].items())
    parts = [f"## {name}\n", f"{measured['title']}; {shape}. One 200 x 200 FFT on one thread: {floor}.\n"]
    head = ["engine", "s/iteration, least", "median", "times ours", "peak MB", "set-up, s", "iterations", "best"]
    rows = [head]
    for label, record in measured["engines"].items():
        if not record["seconds"]:
            rows.append([label, record.get("end") or "nothing was measured", *[""] * (len(head) - 2)])
            continue
        later = record["seconds"][1:] or record["seconds"]
        least, median = min(later), statistics.median(later)
        ratio = least / record["reference"].get("least", least)
        set_up = record["set_up"] + sum(record["seconds"]) - elapsed(record)[-1]
        best = max((score[0] for score in record["scores"].values()), default=0.0)
        cells = [f"{least:.3g}", f"{median:.3g}", f"{ratio:.3g}", f"{record['peak_mb']:.0f}", f"{set_up:.1f}"]
        stopped = f" ({record['end']})" if record.get("end") else ""
        rows.append([label, *cells, f"{len(record['seconds'])}{stopped}", f"{best:.3f}"])
    rows += [[label, reason, *[""] * (len(head) - 2)] for label, reason in missing.items()]
    parts.append(_table(rows))
    levels = LEVELS.get(name, LEVELS["small"])
    rows = [["seconds (iterations) to a correlation of", *[f"{level:g}" for level in levels]]]
    for label, record in measured["engines"].items():
        if record["seconds"]:
            reached = [seconds_to(record, level) for level in levels]
            rows.append([label, *["–" if r is None else f"{r[0]:.3g} ({r[1]})" for r in reached]])
    parts.append(_table(rows))
    return parts


def _programs(results: dict[str, Any]) -> list[str]:
    rows = [["engine", "settings", "versions"]]
    for measured in results["sets"].values():
        for label, record in measured["engines"].items():
            if "settings" in record and label not in [row[0] for row in rows]:
                versions = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
                rows.append([label, record["settings"], f"{versions}, Python {record['python']}"])
    return ["## Settings and versions\n", _table(rows)]


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines) + "\n"


def plot(results: dict[str, Any], path: Path) -> None:
    """Correlation against seconds, a panel for each set."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    sets = results["sets"]
    figure, panels = plt.subplots(1, len(sets), figsize=(1 + 4.6 * len(sets), 5.4), squeeze=False)
    shown: dict[str, Any] = {}
    for panel, (name, measured) in zip(panels[0], sets.items(), strict=True):
        used: dict[str, int] = {}
        top = 0.9
        for label, record in measured["engines"].items():
            driver = record["driver"]
            style = STYLES[used.setdefault(driver, 0) % len(STYLES)]
            used[driver] += 1
            if not record["scores"]:
                continue
            times = elapsed(record)
            at = [times[int(i) - 1] for i in record["scores"]]
            values = [score[0] for score in record["scores"].values()]
            top = max(top, *values)
            wide = 2.4 if driver == "ours" else 1.3
            (line,) = panel.plot(
                at, values, style, color=COLOURS[driver], linewidth=wide, marker="o", markersize=3, label=label
            )
            shown.setdefault(label, line)
        panel.set_xscale("log")
        panel.set_yscale("function", functions=(lambda c: -np.log10(np.maximum(1 - c, 1e-6)), lambda v: 1 - 10.0**-v))
        panel.set_ylim(0.4, min(1 - 0.7 * (1 - top), 0.9995))
        panel.yaxis.set_major_locator(FixedLocator(TICKS))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.grid(alpha=0.3)
        panel.set_title(f"{name} ({'x'.join(map(str, measured['shape']))})", fontsize=10)
        panel.set_xlabel("seconds of computing")
    panels[0][0].set_ylabel("correlation with the truth")
    columns = max(1, int(figure.get_figwidth() / 2.6))
    room = (0.35 + 0.2 * -(-len(shown) // columns)) / figure.get_figheight()
    figure.legend(shown.values(), shown.keys(), loc="lower center", ncols=columns, frameon=False, fontsize=8.5)
    figure.tight_layout(rect=(0, room, 1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, replaces=PICTURE) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)
