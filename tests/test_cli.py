"""The command line, end to end on a small file."""

import subprocess
import sys

import numpy as np
import pytest

from ptywidgets import Calibration, Dataset, samples, write
from ptywidgets.cli import main
from ptywidgets.engine import Aberrations
from ptywidgets.engine.io.checkpoint import load_checkpoint
from ptywidgets.testing.series import example_tilts


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "duck.h5", samples.ducky("tiny"))


def test_info(data, capsys):
    assert main(["info", str(data)]) == 0
    assert "scan 12 x 12, detector 64 x 64" in capsys.readouterr().out


def test_info_lists_everything_that_is_missing_as_flags(data, tmp_path, capsys):
    assert main(["info", str(data)]) == 0
    told = capsys.readouterr().out
    assert "To reconstruct, give" not in told and "--defocus" in told and "--rotation" in told
    bare = write(tmp_path / "bare.h5", Dataset(samples.ducky("tiny").data, Calibration()))
    assert main(["info", str(bare)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert any(line.startswith("To reconstruct, give: --energy 80e3") and "--scan-step 4.0" in line for line in told)
    assert any(line.startswith("and one of: --semiangle 20.0") and "--q-pixel 0.025" in line for line in told)
    assert any("--vacuum FILE" in line for line in told)
    assert main(["info", str(bare), "--energy", "80e3", "--q-pixel", "0.05"]) == 0
    told = capsys.readouterr().out
    assert "give: --scan-step 4.0 (scan step, A)\n" in told
    assert "found from the data unless you give it: --semiangle 20.0" in told


def test_info_of_files_that_py4dstem_wrote(simulated, capsys):
    assert main(["info", str(simulated / "tiny.h5")]) == 0
    told = capsys.readouterr().out
    assert "To reconstruct, give: --energy 80e3 (energy, eV)\n" in told
    assert "found from the data unless you give it: --semiangle 20.0 (semi-angle, mrad), --defocus" in told
    assert main(["info", str(simulated / "layouts" / "tiny_mrad_nm.h5")]) == 2
    assert "which is not in the file; give --energy 80e3." in capsys.readouterr().err
    assert main(["info", str(simulated / "layouts" / "tiny_mrad_nm.h5"), "--energy", "80e3"]) == 0


def test_file_and_energy_are_enough(simulated, tmp_path, capsys):
    out = tmp_path / "o.h5"
    assert main(["reconstruct", str(simulated / "tiny.h5"), "-o", str(out), "--energy", "80e3"]) == 0
    told = capsys.readouterr().out
    (line,) = [line for line in told.splitlines() if line.startswith("Found:")]
    assert "semi-angle" in line and "defocus" in line and "rotation" in line and "+-" in line
    found = load_checkpoint(out).optics.aberrations
    assert found.known and found["defocus"] == pytest.approx(245, abs=15)


def test_what_nobody_gave_is_found_and_zero_is_given(data, tmp_path, capsys):
    out = tmp_path / "o.h5"
    assert main(["reconstruct", str(data), "-o", str(out), "--iterations", "2"]) == 0
    assert load_checkpoint(out).optics.aberrations["defocus"] == pytest.approx(250, rel=0.05)
    given = ["--iterations", "2", "--rotation=-15", "--no-transpose"]
    assert main(["reconstruct", str(data), "-o", str(tmp_path / "a.h5"), "--defocus", "0", *given]) == 0
    assert load_checkpoint(tmp_path / "a.h5").optics.aberrations == Aberrations(defocus=0)
    assert main(["reconstruct", str(data), "-o", str(tmp_path / "b.h5"), "--no-find", *given]) == 0
    assert not load_checkpoint(tmp_path / "b.h5").optics.aberrations.known


def test_a_question_is_asked_in_flags(data, tmp_path, capsys):
    duck = samples.ducky("tiny")
    noise = np.random.default_rng(0).poisson(100 * duck.vacuum / duck.vacuum.max(), duck.shape).astype(np.uint16)
    empty = write(tmp_path / "empty.h5", Dataset(noise, duck.calibration, vacuum=duck.vacuum))
    out = tmp_path / "o.h5"
    assert main(["reconstruct", str(empty), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert "cannot tell" in error and "--defocus 500" in error and "--rotation=-15" in error
    assert not out.exists()
    assert main(["reconstruct", str(data), "-o", str(out), "--energy", "80"]) == 2
    assert "--energy 80e3" in capsys.readouterr().err


def test_a_result_that_should_be_doubted_is_no_success(tmp_path, capsys):
    wrong = samples.ducky("small").with_calibration(scan_step=0.2)
    file, out = write(tmp_path / "small.h5", wrong), tmp_path / "o.h5"
    given = ["--defocus", "350", "--rotation=-15", "--no-transpose", "--iterations", "6"]
    assert main(["reconstruct", str(file), "-o", str(out), *given]) == 3
    told = capsys.readouterr()
    assert "saved in" in told.out and "Did you mean 2 A?" in told.err and out.exists()


def test_reconstruct_and_go_on(data, tmp_path, capsys):
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    arguments = ["--defocus", "250", "--iterations", "3", "--object-type", "potential"]
    assert main(["reconstruct", str(data), "-o", str(first), *arguments]) == 0
    assert main(["reconstruct", str(first), "-o", str(second), "--iterations", "2"]) == 0
    assert main(["info", str(second)]) == 0
    assert "5 of 5 iterations, potential object" in capsys.readouterr().out


def test_a_tilt_series_becomes_a_volume(tmp_path, capsys):
    files = [str(write(tmp_path / f"{n}.h5", dataset)) for n, dataset in enumerate(example_tilts())]
    result = str(tmp_path / "volume.h5")
    tilts = ["--tilts=-60,-20,0,30,70", "--thickness", "8", "--slices", "2", "--defocus", "60", "--rotation", "0"]
    assert main(["reconstruct", *files, "-o", result, *tilts, "--iterations", "2"]) == 0
    assert main(["info", result]) == 0
    assert "a volume, seen from 5 tilts: −60°; −20°; 0°; 30°; 70°" in capsys.readouterr().out
    assert main(["reconstruct", *files, "-o", result, "--thickness", "8"]) == 2
    assert "5 data sets but 0 tilts" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["info", "nosuch.h5"], "nosuch.h5"),
        (["reconstruct", "nosuch.h5", "-o", "x.h5"], "nosuch.h5"),
    ],
)
def test_errors_are_one_sentence(arguments, words, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error


def test_it_needs_no_jupyter(data, tmp_path):
    code = (
        "import sys\n"
        "for name in ('ipywidgets', 'anywidget', 'bqplot', 'IPython'):\n"
        "    sys.modules[name] = None\n"
        "from ptywidgets.cli import main\n"
        f"sys.exit(main(['reconstruct', {str(data)!r}, '-o', {str(tmp_path / 'o.h5')!r}, '--iterations', '1']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
