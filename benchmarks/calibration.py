"""How true the stated uncertainties of a start are, over hundreds of simulated variants of five classes of specimens.

    python benchmarks/calibration.py RESULTS.jsonl [--seeds 0 200] [--kinds lattice film] [--processes 2]
        [--picture PICTURE.png] [--summary SUMMARY.json] [--only-report]

Each variant is simulated, its start found from the data alone, and all numbers compared with the truth in stated
sigmas: 68 % should lie within one, 99 % within three, and what is farther off must have said "cannot tell". A line of
RESULTS is written for each; variants that stand there already are not run again, so that it may be stopped at any time.
Seeds from 10000 on are for the end: nothing should have been tried on them before. In the picture hollow marks are of
starts that asked, and crosses of numbers that were wrong and sure. Where a start names alternatives with probabilities,
these are compared with how often the first of them is right.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.io.atomic import PICTURE, atomic_file
from ptywidgets.engine.preprocess import wrapped_angle
from ptywidgets.testing.judging import NUMBERS, Judgement, judged
from ptywidgets.testing.variants import KINDS, recipe, simulated

DOSES = (("below 3e3", 0.0, 3e3), ("3e3 to 3e4", 3e3, 3e4), ("3e4 to 1e6", 3e4, math.inf))
ALTERNATIVES = 8  # of each start, the best first, that are kept in its record
NEAR = (8.0, 0.25)  # degrees, and of the defocus: so near the truth an alternative is the right one; with a sign
STEPS = ((0.0, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 0.99), (0.99, 1.01))  # of probability
Record = dict[str, Any]


def main() -> None:
    """Run what is missing and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 200), metavar=("FIRST", "END"))
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--summary", type=Path)
    parser.add_argument("--only-report", action="store_true")
    options = parser.parse_args()
    seeds = [seed for seed in range(*options.seeds) if recipe(seed).kind in options.kinds]
    records = read_records(options.results)
    if not options.only_report:
        missing = [seed for seed in seeds if seed not in records]
        with options.results.open("a+") as file:
            file.seek(0)
            if (file.read() or "\n")[-1] != "\n":  # it was stopped within a line
                file.write("\n")
            for record in run(missing, options.processes):
                file.write(json.dumps(record) + "\n")
                file.flush()
                records[record["seed"]] = record
                print(in_a_line(record), flush=True)
    chosen = [records[seed] for seed in seeds if seed in records]
    if not chosen:
        parser.error(f"no variant of these seeds stands in {options.results}; leave out --only-report.")
    summary = summarised(chosen)
    print(in_words(summary))
    if options.summary:
        options.summary.write_text(json.dumps(summary, indent=1) + "\n")
    if options.picture:
        draw(chosen, options.picture)


def read_records(path: Path) -> dict[int, Record]:
    """What is there already, by seed; the last line may be cut off."""
    records = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            print(f"left out a line of {path} that is cut off: {line[:40]!r}")
            continue
        records[record["seed"]] = record
    return records


def run(seeds: list[int], processes: int) -> Iterator[Record]:
    """Records of seeds, in their order."""
    if processes <= 1:
        yield from map(tried, seeds)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(tried, seeds)


def tried(seed: int) -> Record:
    """One variant: what it is, what was found, and how that compares."""
    made = recipe(seed)
    variant = simulated(made)
    record: Record = {
        "seed": seed,
        "kind": made.kind,
        **{n: getattr(made, n) for n in ("dose", "energy", "semiangle", "step", "scan", "detector", "vacuum")},
        **{n: getattr(made, n) for n in ("jitter", "source", "spread", "stated_semiangle", "stated_step")},
        "C30": made.aberrations["C30"],
        "thickness": variant.thickness,
        "truth": variant.truth,
    }
    begun, worked = time.perf_counter(), time.process_time()
    try:
        start = calibrate(variant.dataset, thickness=variant.thickness if made.tell_thickness else None)
    except Exception as error:  # a variant on which the start breaks is a result as well, and told as one
        return {**record, "failed": f"{type(error).__name__}: {error}"}
    took = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - worked}
    judgement = judged(made, start)
    return {
        **record,
        **took,
        "sources": {d.name: d.source for d in start.estimates},
        "found_transpose": start.measurement.transpose,
        "judgement": asdict(judgement),
        "alternatives": [
            {k: v for k, v in asdict(a).items() if k != "aberrations"} for a in start.alternatives[:ALTERNATIVES]
        ],
    }


def judgement_of(record: Record) -> Judgement | None:
    """Of a record; None where the start broke."""
    return Judgement(**record["judgement"]) if "judgement" in record else None


def first_is_right(record: Record) -> bool:
    """Whether the alternative that a start takes for the likeliest is the true one; near focus any defocus is."""
    first, truth = record["alternatives"][0], record["truth"]
    depth = wavelength(record["energy"]) / (record["semiangle"] * 1e-3) ** 2
    return (
        first["transpose"] == truth["transpose"]
        and abs(wrapped_angle(first["rotation"] - truth["rotation"])) < NEAR[0]
        and abs(first["defocus"] - truth["defocus"]) < max(NEAR[1] * abs(truth["defocus"]), depth)
    )


def in_a_line(record: Record) -> str:
    """What happened to a variant."""
    dose = "no noise" if record["dose"] is None else f"{record['dose']:.1e} e/A^2"
    head = f"{record['seed']:5} {record['kind']:9} {dose:13} "
    judgement = judgement_of(record)
    if judgement is None:
        return f"{head} FAILED {record['failed']}"
    parts = []
    for name in ("rotation", "defocus"):
        error, sigma = judgement.errors[name], judgement.sigmas[name]
        parts.append(f"{name} not told" if error is None else f"{name} off {error:.3g} (+- {sigma or 0:.2g})")
    if judgement.wrong_and_sure:
        parts.append("WRONG AND SURE: " + ", ".join(judgement.wrong_and_sure))
    elif judgement.asks:
        parts.append("asks: " + judgement.asks[:60])
    elif judgement.open_turn:
        parts.append("half a turn left open")
    return head + f"{record['cpu']:5.1f} s of CPU  " + "; ".join(parts)


def summarised(records: list[Record]) -> dict[str, Any]:
    """Figures for all, for each class, for each dose, and for those whose calibration is right."""
    groups: dict[str, list[Record]] = {"all": records}
    groups |= {kind: [r for r in records if r["kind"] == kind] for kind in KINDS}
    groups |= {name: [r for r in records if r["dose"] and low <= r["dose"] < high] for name, low, high in DOSES}
    groups["no noise"] = [r for r in records if not r["dose"]]
    groups["with vacuum"] = [r for r in records if r["vacuum"]]
    groups["without vacuum"] = [r for r in records if not r["vacuum"]]
    groups["coarser than lattice"] = [r for r in records if r["kind"] == "lattice" and r["step"] > 2.7]
    groups["partly coherent"] = [r for r in records if r["source"] or r["spread"]]
    groups["jitter"] = [r for r in records if r["jitter"]]
    groups["wrongly stated"] = [r for r in records if r["stated_step"] != 1 or r["stated_semiangle"] != 1]
    named = [r for r in records if r.get("alternatives")]
    likely = {}
    for low, high in STEPS:
        some = [r for r in named if low <= r["alternatives"][0]["probability"] < high]
        if some:
            mean = float(np.mean([r["alternatives"][0]["probability"] for r in some]))
            likely[f"{low:g} to {min(high, 1):g}"] = [len(some), mean, share(map(first_is_right, some))]
    return {
        "probability of the first alternative": likely,
        "groups": {name: figures(group) for name, group in groups.items() if group},
        "wrong and sure": {
            str(r["seed"]): [r["kind"], r["dose"], list(j.wrong_and_sure)]
            for r in records
            if (j := judgement_of(r)) is not None and j.wrong_and_sure
        },
        "failed": {str(r["seed"]): r["failed"] for r in records if "failed" in r},
    }


def figures(records: list[Record]) -> dict[str, Any]:
    """Shares of a group: of all within it, or of those that told something."""
    judgements = [j for j in map(judgement_of, records) if j is not None]
    told = [j for j in judgements if j.told]
    out: dict[str, Any] = {
        "variants": len(records),
        "told": len(told),
        "cannot tell": 1 - len(told) / len(records),
        "180-degree ambiguity open": share(j.open_turn for j in told),
        "wrong and sure": sum(bool(j.wrong_and_sure) for j in judgements),
        "wrong orientation or defocus": sum(
            bool({"transpose", "180-degree ambiguity", "rotation", "defocus"} & set(j.wrong_and_sure))
            for j in judgements
        ),
        "asked though right": sum(not j.told and not j.wrong and j.found["defocus"] is not None for j in judgements),
        "cpu": [float(v) for v in np.percentile([r["cpu"] for r in records if "cpu" in r] or [0], (50, 90, 100))],
    }
    for name in NUMBERS:
        deviations = [d for j in told if (d := j.deviation(name)) is not None]
        out[name] = [share(d <= 1 for d in deviations), share(d <= 3 for d in deviations)]
    return out


def share(values: Iterable[bool]) -> float:
    """Of true ones; NaN of none."""
    every = [bool(v) for v in values]
    return sum(every) / len(every) if every else math.nan


def in_words(summary: dict[str, Any]) -> str:
    """A table, and the list of what is wrong and sure."""
    lines = [
        "shares within one and within three stated sigmas, of those that told (68 and 99 % are wanted)",
        f"{'':22}{'of':>5}{'told':>6}{'asked though right':>20}{'wrong and sure (more than C12, C21)':>37}"
        f"{'rotation':>14}{'defocus':>14}{'C12':>14}{'C21':>14}{'half open':>11}{'CPU s, 50/90/100 %':>22}",
    ]
    for name, group in summary["groups"].items():
        cells = [pair(group["rotation"]), pair(group["defocus"])]
        cells += [pair(np.mean([group[f"{c}a"], group[f"{c}b"]], axis=0)) for c in ("C12", "C21")]
        wrong = f"{group['wrong and sure']} ({group['wrong orientation or defocus']})"
        lines.append(
            f"{name:22}{group['variants']:5}{group['told']:6}{group['asked though right']:20}{wrong:>37}"
            + "".join(f"{cell:>14}" for cell in cells)
            + f"{100 * group['180-degree ambiguity open']:10.0f}%{' / '.join(f'{s:.1f}' for s in group['cpu']):>22}"
        )
    for span, (count, mean, right) in summary["probability of the first alternative"].items():
        words = f"{100 * mean:.0f} % on average, right in {100 * right:.0f} %"
        lines.append(f"first alternative with a probability of {span}: {count}, {words}")
    lines.append(f"wrong and sure: {len(summary['wrong and sure'])}")
    lines += [
        f"  seed {seed}, {kind}, {'no noise' if dose is None else f'{dose:.1e} e/A^2'}: {', '.join(what)}"
        for seed, (kind, dose, what) in summary["wrong and sure"].items()
    ]
    lines += [f"  seed {seed} FAILED: {why}" for seed, why in summary["failed"].items()]
    return "\n".join(lines)


def pair(shares: Any) -> str:
    """Two shares in per cent."""
    return " / ".join("-" if math.isnan(s) else f"{100 * s:.0f}" for s in shares) + " %"


def draw(records: list[Record], path: Path) -> None:
    """Stated sigma against error of rotation and defocus, a column for each class, coloured by dose."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm

    kinds = [kind for kind in KINDS if any(r["kind"] == kind for r in records)]
    figure, axes = plt.subplots(
        2, len(kinds), figsize=(3.6 * len(kinds) + 1.2, 7), squeeze=False, sharex="row", sharey="row",
        constrained_layout=True,
    )  # fmt: skip
    norm, colours = LogNorm(3e2, 1e6), plt.get_cmap("viridis")
    limits = {"rotation": (1e-3, 200.0, "degrees"), "defocus": (1e-2, 3e3, "A")}
    for row, (name, (low, high, unit)) in zip(axes, limits.items(), strict=True):
        for axis, kind in zip(row, kinds, strict=True):
            line = np.array([low, high])
            for factor, style in ((1, "-"), (3, "--")):
                axis.plot(line, factor * line, "k" + style, lw=0.8, label=f"{factor} sigma")
            for record in (r for r in records if r["kind"] == kind):
                judgement = judgement_of(record)
                if judgement is None or judgement.errors[name] is None or not judgement.sigmas[name]:
                    continue
                colour = "black" if record["dose"] is None else colours(norm(record["dose"]))
                here = (np.clip(judgement.sigmas[name], low, high), np.clip(abs(judgement.errors[name]), low, high))
                face = colour if judgement.told else "none"
                axis.plot(*here, "o", ms=6, mec=colour, mfc=face)
                if {name, "transpose", "180-degree ambiguity"} & set(judgement.wrong_and_sure):
                    axis.plot(*here, "rx", ms=10, mew=1.5)
            axis.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), title=f"{name}, {kind}")
            axis.set_xlabel(f"stated sigma ({unit})")
        row[0].set_ylabel(f"error ({unit})")
        row[0].legend(fontsize=8, loc="upper left")
    marks = plt.cm.ScalarMappable(norm, colours)
    figure.colorbar(marks, ax=axes, label="dose (e/A^2); black: no noise", shrink=0.7)
    with atomic_file(path, replaces=PICTURE) as temporary:
        figure.savefig(temporary, dpi=90, format="png")
    plt.close(figure)


if __name__ == "__main__":
    main()
