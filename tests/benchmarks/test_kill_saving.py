"""A few of the trials of benchmarks/kill_saving.py, which makes hundreds by hand."""

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9 on Windows")
def test_a_process_killed_while_saving_leaves_whole_files(repository):
    script = repository / "benchmarks" / "kill_saving.py"
    done = subprocess.run([sys.executable, script, "--times", "4"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "4 times whole files" in done.stdout
