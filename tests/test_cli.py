"""The command line, end to end on a small file."""

import subprocess
import sys

import pytest

from ptywidgets import samples, write
from ptywidgets.cli import main
from ptywidgets.engine.dataset import Calibration, Dataset
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.testing.series import example_tilts


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "duck.h5", samples.ducky("tiny"))


def test_info(data, capsys):
    assert main(["info", str(data)]) == 0
    assert "scan 12 x 12, detector 64 x 64" in capsys.readouterr().out


def test_reconstruct_and_go_on(data, tmp_path, capsys):
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    arguments = ["--defocus", "250", "--iterations", "3", "--object-type", "potential"]
    assert main(["reconstruct", str(data), "-o", str(first), *arguments]) == 0
    assert main(["reconstruct", str(first), "-o", str(second), "--iterations", "2"]) == 0
    assert main(["info", str(second)]) == 0
    assert "5 of 5 iterations, potential object" in capsys.readouterr().out


def test_rows_and_columns_may_differ(tmp_path, capsys):
    kind = {"scan_step": (1.5, 1.2), "q_pixel": (0.05, 0.04)}
    duck = samples.ducky("tiny", **kind)
    data, result = write(tmp_path / "duck.h5", Dataset(duck.data, Calibration(80e3))), tmp_path / "a.h5"
    arguments = ["--scan-step", "1.5x1.2", "--q-pixel", "0.05,0.04", "--semiangle", "20", "--defocus", "250"]
    assert main(["reconstruct", str(data), "-o", str(result), *arguments, "--iterations", "1", "--rotation=-15"]) == 0
    assert Reconstruction.open(result).calibration == duck.calibration
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["reconstruct", str(data), "-o", str(result), "--scan-step", "1x2x3"])
    assert "argument --scan-step: invalid number, or two as 4x3.2 value: '1x2x3'" in capsys.readouterr().err


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
