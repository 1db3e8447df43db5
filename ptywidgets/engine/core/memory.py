"""How much memory this process can still get, without a dependency."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

from ptywidgets.engine.core.errors import ParameterError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # which is asked before use

# a container's limit, cgroup v2 and then v1: limit, in use, statistics
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


VARIABLE = "PTYWIDGETS_MEMORY"
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def available_memory() -> float | None:
    """Bytes that can still be had, of the machine, the container or the process; None where that is not known.

    Where only the size of the machine is known (macOS) it is that: an upper bound. The environment variable
    ``PTYWIDGETS_MEMORY``, such as "4 GB", is how much this process should use in all, on a machine that others use.

    Raises
    ------
    ParameterError
        When that variable is no size.
    """
    every = (_machine(), _process(), _asked_for(), *(_container(*files) for files in _CGROUPS))
    known = [free for free in every if free is not None]
    return min(known) if known else None


def _machine() -> float | None:
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _process() -> float | None:
    """What limits on this process alone leave (`ulimit -v` and `ulimit -d`, as batch systems set them)."""
    if resource is None:
        return None
    pages = _text("/proc/self/statm").split()
    left = []
    for kind, column in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
        limit = resource.getrlimit(kind)[0]
        if limit not in (-1, resource.RLIM_INFINITY):
            used = float(pages[column]) * resource.getpagesize() if len(pages) > column else 0.0
            left.append(max(0.0, float(limit) - used))
    return min(left) if left else None


def _asked_for() -> float | None:
    """What a limit that was stated in words leaves, of memory that is really in use."""
    limit = _stated(os.environ.get(VARIABLE, ""))
    if limit is None:
        return None
    pages = _text("/proc/self/statm").split()
    used = float(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 else _most_used()
    return max(0.0, limit - used)


def _most_used() -> float:
    """Bytes that this process has had at most, where the system does not say what it has now (macOS)."""
    return 0.0 if resource is None else float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


@cache
def _stated(text: str) -> float | None:
    if not text.strip():
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text, re.IGNORECASE)
    if found is None or not float(found[1]):
        raise ParameterError(
            f'the environment variable {VARIABLE} is {text!r}; expected a size such as "4 GB" or "800 MB", or unset it.'
        )
    return float(found[1]) * _UNITS[found[2].lower()]


def _container(limit: str, usage: str, statistics: str) -> float | None:
    try:
        allowed, used = float(_text(limit)), float(_text(usage))
    except ValueError:  # "max", or no such file
        return None
    # the file cache counts as used but gives way
    cache = sum(float(line.split()[1]) for line in _text(statistics).splitlines() if line.startswith("inactive_file "))
    return max(0.0, allowed - used + cache)


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
