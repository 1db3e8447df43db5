"""Environments that the peers run in, made when first asked for: venv and pip, with pinned versions."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = {
    "py4dstem": ("py4DSTEM==0.14.18",),
    "phaser": ("phaserem[jax]==0.3.1", "jax==0.10.2"),
    "pty_chi": ("ptychi==2.2.0", "torch==2.13.0"),
    "ptyrad": ("ptyrad==1.0.0", "torch==2.13.0"),
    "quantem": ("quantem==0.1.10", "torch==2.13.0"),
}
BELOW = {"py4dstem": (3, 13)}  # it needs numpy 1.26
NEWEST = (3, 14)  # for which torch and JAX of these versions are made
OLDEST = (3, 11)
MADE = ".installed"  # in an environment that is whole: its requirements


class NotMade(Exception):
    """An environment that cannot be had, and why."""


def python_of(name: str, folder: Path) -> str:
    """The interpreter of a peer's environment, made if it is not there; :class:`NotMade` says why it cannot."""
    home = folder / name
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = "\n".join(REQUIREMENTS[name])
    if (home / MADE).is_file() and (home / MADE).read_text().strip() == wanted:
        return str(python)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    print(f"making an environment for {name} in {home} (a few minutes)", flush=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *REQUIREMENTS[name]]
    with log.open("w") as output:
        for command in ([_interpreter(name), "-m", "venv", "--clear", str(home)], pip):
            if subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode:
                errors = [line for line in log.read_text().splitlines() if "error" in line.lower()]
                raise NotMade(f"could not be installed: {errors[-1].strip()[:160] if errors else 'see its log'}")
    (home / MADE).write_text(wanted)
    return str(python)


def _interpreter(name: str) -> str:
    """A Python that the peer's versions are made for: this one, or another on the path."""
    below = BELOW.get(name, NEWEST)
    if OLDEST <= sys.version_info[:2] < below:
        return getattr(sys, "_base_executable", sys.executable)
    for minor in range(below[1] - 1, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and not subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
            return found
    raise NotMade(f"no Python from {OLDEST[0]}.{OLDEST[1]} on and below {below[0]}.{below[1]}")
