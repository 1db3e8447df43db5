"""The command line, end to end on a small file."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from ptywidgets import Reconstruction, read, samples, write
from ptywidgets.cli import main
from ptywidgets.engine import Aberrations, DataError
from ptywidgets.engine.checkpoint import load_checkpoint
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.reconstruction.session.work import ReconstructionWork
from ptywidgets.testing.series import example_tilts


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "duck.h5", samples.ducky("tiny"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    write(folder / "duck.h5", samples.ducky("tiny"))
    recon = Reconstruction.open(folder / "duck.h5", defocus=250)
    recon.run(1).save(folder / "saved.h5")
    return folder / "saved.h5"


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
    assert "cannot tell" in error and "--defocus ... and --rotation=..., with" in error
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


def test_a_wrong_orientation_is_told_with_the_flag_that_gives_the_right_one(tmp_path, capsys):
    file, out = write(tmp_path / "duck.h5", samples.ducky("tiny", dose=1e4)), tmp_path / "o.h5"
    given = ["--defocus", "250", "--rotation=165", "--no-transpose"]
    assert main(["reconstruct", str(file), "-o", str(out), *given]) == 3
    told = capsys.readouterr()
    assert "is left over, noise aside" in told.err and "Give --rotation=-15." in told.err and "doubtful" in told.out


def test_reconstruct_and_go_on(data, tmp_path, capsys):
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    arguments = ["--defocus", "250", "--iterations", "3", "--object-type", "potential"]
    assert main(["reconstruct", str(data), "-o", str(first), *arguments]) == 0
    assert main(["reconstruct", str(first), "-o", str(second), "--iterations", "2"]) == 0
    assert main(["info", str(second)]) == 0
    assert "5 of 5 iterations, potential object" in capsys.readouterr().out


def refused(arguments, path, words, capsys):
    """The command does nothing, says why, and `path` is as it was."""
    before, beside = path.read_bytes(), sorted(path.parent.iterdir())
    assert main(["reconstruct", *map(str, arguments)]) == 2
    told = capsys.readouterr()
    assert words in told.err and "Reconstruction(" not in told.out, "the work had begun"
    assert path.read_bytes() == before and sorted(path.parent.iterdir()) == beside


def test_the_output_is_never_an_input(data, tmp_path, capsys):
    words = "never written over"
    refused([data, "-o", data], data, words, capsys)
    refused([data, "-o", data, "--overwrite"], data, words, capsys)
    link = tmp_path / "link.h5"
    link.symlink_to(data)
    refused([data, "-o", link, "--overwrite"], data, words, capsys)
    refused([link, "-o", data, "--overwrite"], data, words, capsys)
    vacuum = tmp_path / "vacuum.npy"
    np.save(vacuum, samples.ducky("tiny").vacuum)
    refused([data, "--vacuum", vacuum, "-o", vacuum, "--overwrite"], vacuum, words, capsys)
    others = [write(tmp_path / f"{n}.h5", dataset) for n, dataset in enumerate(example_tilts())]
    refused([*others, "--tilts=-60,-20,0,30,70", "-o", others[3], "--overwrite"], others[3], words, capsys)


def test_the_output_replaces_something_else_only_when_asked_to(data, tmp_path, capsys):
    other = write(tmp_path / "other.h5", samples.ducky("tiny", seed=1))
    refused([data, "-o", other], other, "is not a saved reconstruction; add --overwrite to replace it", capsys)
    quick = ["--defocus", "250", "--iterations", "1"]
    assert main(["reconstruct", str(data), "-o", str(other), "--overwrite", *quick]) == 0
    assert main(["reconstruct", str(data), "-o", str(other), *quick]) == 0, "a saved reconstruction is replaced"
    assert main(["reconstruct", str(other), "-o", str(other), "--iterations", "2"]) == 0
    assert main(["info", str(other)]) == 0
    assert "3 of 3 iterations" in capsys.readouterr().out


def test_what_is_put_there_while_it_works_is_kept_and_so_is_the_work(data, tmp_path, capsys, monkeypatch):
    output, kept = tmp_path / "out.h5", tmp_path / "kept"
    kept.mkdir()
    start = Reconstruction.start

    def start_and_write(self, *arguments, **options):
        start(self, *arguments, **options)
        output.write_text("theirs")

    monkeypatch.setattr(Reconstruction, "start", start_and_write)
    assert main(["reconstruct", str(data), "-o", str(output), "--defocus", "250", "--iterations", "2"]) == 2
    told = capsys.readouterr()
    assert output.read_text() == "theirs" and "out.h5 already exists" in told.err
    (saved,) = tmp_path.glob("out_*.h5")
    assert f"saved in {saved} instead" in told.err
    assert Reconstruction.open(saved).iteration == 2


def test_a_run_that_breaks_off_keeps_what_it_has(data, tmp_path, capsys, monkeypatch):
    on_state = ReconstructionWork.on_state

    def breaks(self, state):
        on_state(self, state)
        if len(state.losses) == 2:
            raise DataError("the sky fell.")

    monkeypatch.setattr(ReconstructionWork, "on_state", breaks)
    assert main(["reconstruct", str(data), "-o", str(tmp_path / "out.h5"), "--defocus", "250"]) == 2
    assert "the sky fell" in capsys.readouterr().err
    assert Reconstruction.open(tmp_path / "out.h5").iteration == 2


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


def test_a_part_of_the_data(data, tmp_path, capsys):
    part = ["--crop-scan", "1:11,0:12", "--bin-detector", "2"]
    assert main(["info", str(data), *part, "--crop-detector=2:62,2:62"]) == 0
    out = capsys.readouterr().out
    assert "scan 10 x 12, detector 30 x 30" in out and "binned, detector 2 x 2" in out
    saved = tmp_path / "a.h5"
    assert main(["reconstruct", str(data), "-o", str(saved), "--defocus", "250", "--iterations", "2", *part]) == 3
    assert "of its box of 10 A" in capsys.readouterr().err, "the binned detector is small for this probe"
    assert main(["reconstruct", str(saved), "-o", str(saved), "--iterations", "1"]) == 3
    capsys.readouterr()
    assert main(["info", str(saved)]) == 0
    out = capsys.readouterr().out
    assert "3 of 3 iterations" in out and "cropped to scan [1:11, 0:12]; then binned, detector 2 x 2" in out


def test_a_stack_with_a_mask(tmp_path, capsys):
    duck = samples.ducky("tiny")
    np.save(tmp_path / "stack.npy", np.asarray(duck.data).reshape(-1, 64, 64))
    mask = np.zeros((64, 64), np.uint32)
    mask[3, 4] = 8
    with h5py.File(tmp_path / "mask.h5", "w") as file:
        file["entry/pixel_mask"] = mask
    reading = ["--scan-shape", "12,12", "--mask", str(tmp_path / "mask.h5")]
    assert main(["info", str(tmp_path / "stack.npy"), *reading]) == 0
    out = capsys.readouterr().out
    assert "1 pixels masked" in out and "entry/pixel_mask" in out
    known = ["--energy=80e3", "--semiangle=20", "--scan-step=1.5", "--q-pixel=0.05", "--defocus=250"]
    saved = str(tmp_path / "a.h5")
    assert main(["reconstruct", str(tmp_path / "stack.npy"), "-o", saved, "--iterations=1", *reading, *known]) == 0
    assert main(["reconstruct", saved, "-o", saved, "--iterations=1", *known, *reading]) == 0, "the same"


@pytest.mark.parametrize(
    "flag",
    [
        "--energy=100e3",
        "--defocus=-300",
        "--rotation=10",
        "--rotation=0",
        "--thickness=0",
        "--no-transpose",
        "--alternative=1",
        "--hold=rotation",
        "--thickness=20",
        "--modes=2",
        "--slices=2",
        "--object-type=complex",
        "--bin-detector=2",
        "--crop-scan=0:4,0:4",
        "--dataset=other",
        "--choose=1",
        "--tilts=0",
        "--vacuum=other.h5",
        "--mask=other.h5",
    ],
)
def test_what_a_saved_reconstruction_cannot_take_is_refused(saved, tmp_path, flag, capsys):
    assert main(["reconstruct", str(saved), "-o", str(tmp_path / "b.h5"), "--iterations", "1", flag]) == 2
    said = capsys.readouterr().err
    assert "saved.h5" in said and "saved reconstruction" in said
    assert flag.split("=")[0] in said
    assert not (tmp_path / "b.h5").exists()


@pytest.fixture
def noise(tmp_path):
    rows, columns = np.mgrid[-16:16, -16:16]
    disk = 50.0 * (np.hypot(rows, columns) < 6)
    counts = np.random.default_rng(0).poisson(disk, (8, 8, 32, 32)).astype("uint16")
    return write(tmp_path / "noise.h5", Dataset(counts, Calibration(80e3, scan_step=1.0, q_pixel=0.08, semiangle=20.0)))


def test_a_start_that_has_to_be_asked_for_lists_its_alternatives_and_one_is_taken(noise, tmp_path, capsys):
    out = tmp_path / "o.h5"
    call = ["reconstruct", str(noise), "-o", str(out), "--iterations", "1"]
    assert main(call) == 2
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if ", probability " in line]
    assert len(lines) > 1 and [int(line.split()[0]) for line in lines] == [*range(1, len(lines) + 1)]
    assert "or take one of the readings that are listed by --alternative N" in said and "start_alternatives" not in said
    assert not out.exists()
    hold = ("--hold", "aberrations", "--hold", "rotation")  # else what is taken is held against the counts once more
    assert main([*call, "--alternative", "2", *hold]) in (0, 3)
    turn, defocus = float(lines[1].split()[2]), float(lines[1].split("defocus")[1].split()[0])
    taken = load_checkpoint(out)
    assert taken.optics.aberrations["defocus"] == pytest.approx(defocus, abs=0.51)
    assert Reconstruction.open(out).rotation == pytest.approx(turn, abs=0.051)
    assert f"The next run begins with start 2 of {len(lines)}" in capsys.readouterr().out
    assert main([*call, "--alternative", "99"]) == 2
    said = capsys.readouterr().err
    assert f"--alternative 99 is none of the {len(lines)} that there are; expected a number from 1 to" in said
    assert main([*call, "--alternative", "1", "--no-find"]) == 2
    assert "--alternative 1 does not go with --no-find" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-1", "first", "1.5"])
def test_an_alternative_that_no_list_has_is_refused_before_any_search(noise, tmp_path, capsys, monkeypatch, number):
    monkeypatch.setattr(Reconstruction, "calibrate", lambda *_, **__: pytest.fail("a search has begun"))
    with pytest.raises(SystemExit) as ended:
        main(["reconstruct", str(noise), "-o", str(tmp_path / "o.h5"), f"--alternative={number}"])
    assert ended.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"{number!r} is no place in the list" in said and "expected a whole number from 1 on" in said


def test_data_without_alternatives_say_so_in_flags(tmp_path, capsys):
    file = write(tmp_path / "few.h5", samples.ducky("tiny")[:4])
    assert main(["reconstruct", str(file), "-o", str(tmp_path / "o.h5"), "--alternative", "1"]) == 2
    said = capsys.readouterr().err
    assert (
        "--alternative 1: these data offer no alternatives" in said and "give --defocus ... and --rotation=..." in said
    )


def test_what_is_held_is_not_corrected(tmp_path, capsys):
    file = write(tmp_path / "small.h5", samples.ducky("small").with_calibration(scan_step=2.1))
    given = ["--defocus", "350", "--rotation=-15", "--no-transpose", "--iterations", "1"]
    steps = []
    for held in ([], ["--hold", "scan-step", "--hold=rotation", "--hold", "aberrations"]):
        out = str(tmp_path / f"{len(held)}.h5")
        assert main(["reconstruct", str(file), "-o", out, *given, *held]) in (0, 3)
        steps.append(Reconstruction.open(out).calibration.scan_step)
    assert steps[0] == pytest.approx(2.0, rel=0.015) and steps[1] == 2.1
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["reconstruct", str(file), "-o", str(tmp_path / "x.h5"), "--hold", "step"])
    assert "argument --hold: unknown thing to hold 'step'" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--crop-scan=1:2", "--bin-scan=a", "--scan-shape=1,2,3", "--choose=first"])
def test_what_cannot_be_read_is_told(data, flag, capsys):
    with pytest.raises(SystemExit):
        main(["info", str(data), flag])
    assert flag.split("=")[0] in capsys.readouterr().err


@pytest.mark.filterwarnings("default::ptywidgets.engine.DataWarning")
def test_a_vacuum_scan_is_averaged_with_a_plain_word(tmp_path, capsys):
    duck = samples.ducky("tiny")
    write(tmp_path / "scan.h5", duck.with_vacuum(None))
    np.save(tmp_path / "vacuum.npy", np.stack([duck.vacuum, duck.vacuum])[None])
    call = ["reconstruct", "scan.h5", "-o", "out.h5", "--vacuum", "vacuum.npy", "--energy", "80e3", "--defocus", "250"]
    paths = [str(tmp_path / word) if word.endswith((".h5", ".npy")) else word for word in call]
    assert main([*paths, "--rotation=-15", "--no-transpose", "--iterations", "1"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("ptywidgets: The vacuum pattern is the mean of 2 patterns.") and ".py:" not in said


def test_any_file_becomes_one_that_all_read(tmp_path, capsys):
    duck = samples.ducky("tiny")
    counts = np.asarray(duck.data).astype(">f4")
    (tmp_path / "duck.raw").write_bytes(bytes(16) + counts.tobytes())
    layout = ["--dtype=>f4", "--detector-shape=64,64", "--header-bytes=16"]
    assert main(["info", str(tmp_path / "duck.raw"), *layout]) == 2
    said = capsys.readouterr().err
    assert "stack of 144 patterns" in said and "--scan-shape=12,12" in said and "read(" not in said
    layout += ["--scan-shape=12,12", "--scan-step=1.5", "--q-pixel=0.05", "--energy=80e3"]
    arguments = ["convert", str(tmp_path / "duck.raw"), str(tmp_path / "duck.h5"), *layout]
    assert main([*arguments, "--crop-scan=0:6,0:12", "--flip=rows", "--compress"]) == 0
    assert "duck.h5" in capsys.readouterr().out
    written = read(tmp_path / "duck.h5")
    np.testing.assert_array_equal(written.load().data, counts[:6, :, ::-1])
    assert (written.calibration.energy, written.calibration.scan_step) == (80e3, 1.5)
    assert main(arguments) == 2 and "--overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0
    assert main(["convert", str(tmp_path / "duck.h5"), str(tmp_path / "duck.h5"), "--overwrite"]) == 2
    assert main(["convert", str(tmp_path / "duck.h5"), str(tmp_path / "duck.tif")]) == 2
    assert "the only format that is written" in capsys.readouterr().err and not (tmp_path / "duck.tif").exists()


def test_bare_numbers_are_reconstructed_and_gone_on_with(tmp_path, capsys):
    counts = np.asarray(samples.ducky("tiny").data).astype("<f4")
    (tmp_path / "duck.raw").write_bytes(counts.tobytes())
    reading = ["--dtype=<f4", "--detector-shape=64,64", "--scan-shape=12,12"]
    known = ["--energy=80e3", "--semiangle=20", "--scan-step=1.5", "--q-pixel=0.05", "--defocus=250"]
    raw, saved = str(tmp_path / "duck.raw"), str(tmp_path / "a.h5")
    assert main(["reconstruct", raw, "-o", saved, "--iterations=1", *reading, *known]) in (0, 3)
    again = Reconstruction.load(saved)
    np.testing.assert_array_equal(again.dataset.load().data, counts)
    assert main(["reconstruct", saved, "-o", saved, "--iterations=1", *reading]) in (0, 3), "the same"
    capsys.readouterr()
    assert main(["reconstruct", saved, "-o", saved, "--iterations=1", "--flip=rows"]) == 2
    assert "--flip" in capsys.readouterr().err


def test_a_saved_result_is_exported(saved, tmp_path, capsys):
    assert main(["export", str(saved), str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "phase.tif").read_bytes()[:2] == b"II"
    assert str(tmp_path / "out" / "phase.png") in capsys.readouterr().out
    assert main(["export", str(saved), str(tmp_path / "out" / "phase.png")]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["export", str(saved), str(tmp_path / "a.docx")]) == 2
    assert ".hspy" in capsys.readouterr().err
