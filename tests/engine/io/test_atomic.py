"""The one door: what the data were read from is never written over, by whatever name; nothing is left behind."""

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import Calibration, Dataset
from ptywidgets.engine.checkpoint import is_reconstruction, save_checkpoint
from ptywidgets.engine.checkpoint.checkpoint import RECONSTRUCTION
from ptywidgets.engine.core.errors import FileFormatError, FileInTheWay
from ptywidgets.engine.core.files import files_of
from ptywidgets.engine.io import atomic, atomic_file, read, write
from ptywidgets.engine.io.formats.hdf5.tree import open_hdf5
from ptywidgets.engine.io.formats.hdf5.write import atomic_hdf5

WINDOWS = sys.platform == "win32"
posix = pytest.mark.skipif(WINDOWS, reason="no such files on Windows")


@pytest.fixture
def saved(tmp_path):
    recon = Reconstruction(samples.ducky("tiny"))
    recon.prepare()
    return Path(recon.save(tmp_path / "saved.h5"))


@pytest.fixture
def data(tmp_path):
    patterns = np.random.default_rng(0).integers(1, 99, (3, 4, 6, 8)).astype(np.uint16)
    return write(tmp_path / "data.h5", Dataset(patterns, Calibration(80e3, 4.0, 0.025, 20.0)))


def unchanged(path, before, folder):
    assert path.read_bytes() == before
    assert not list(folder.glob(".*.part"))


# ---------------------------------------------------------------- inputs


def other_names(path, folder):
    """The same file, called in every way that there is here."""
    (folder / "deep").mkdir()
    names = {
        "itself": path,
        "text": str(path),
        "bytes": os.fsencode(path),
        "relative": os.path.relpath(path),
        "dots": folder / "deep" / ".." / path.name,
        "symlink": folder / "link.h5",
        "link to a link": folder / "link2.h5",
        "hard link": folder / "hard.h5",
        "through a linked folder": folder / "linked" / path.name,
    }
    names["symlink"].symlink_to(path)
    names["link to a link"].symlink_to("link.h5")
    os.link(path, names["hard link"])
    (folder / "linked").symlink_to(folder, target_is_directory=True)
    if (folder / path.name.upper()).exists():  # where the file system folds case
        names["other case"] = folder / path.name.upper()
    return names


@posix
def test_an_input_is_refused_by_whatever_name_and_even_when_asked_to(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = data.read_bytes()
    dataset = read(data)
    for kind, name in (other_names(data, tmp_path) | {"home": "~/data.h5"}).items():
        for overwrite in (False, True):
            with pytest.raises(FileFormatError, match=r"never written over.*choose another name, such as") as caught:
                write(name, dataset, overwrite=overwrite)
            assert not isinstance(caught.value, FileInTheWay), kind
        unchanged(data, before, tmp_path)


def test_an_input_is_known_after_the_working_folder_has_changed(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = read("data.h5")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(FileFormatError, match="never written over"):
        write(data, dataset, overwrite=True)
    assert write("data.h5", dataset).exists(), "another file of the same name is not it"


def test_a_data_set_knows_its_files(tmp_path, data):
    np.save(tmp_path / "vacuum.npy", np.ones((6, 8)))
    np.save(tmp_path / "mask.npy", np.ones((6, 8)))
    np.save(tmp_path / "stack.npy", np.ones((12, 6, 8)))
    vacuum, mask, stack = (tmp_path / f"{name}.npy" for name in ("vacuum", "mask", "stack"))
    given = read(data, vacuum=vacuum).with_mask(mask)
    assert set(given.inputs) == {data, vacuum, mask}
    assert set(given.crop(scan=(0, 2, 0, 2)).bin(scan=2).inputs) == {data, vacuum, mask}
    assert read(data).with_vacuum(str(vacuum)).inputs == (data, vacuum)
    assert read(data).with_vacuum(np.load(vacuum, mmap_mode="r")[:]).inputs == (data, vacuum)
    assert set(read(data).with_mask(np.load(mask, mmap_mode="r")).inputs) == {data, mask}
    assert given.with_calibration(energy=1e5).load().inputs == given.inputs
    assert read(stack, scan_shape=(3, 4)).inputs == (stack,)
    mapped = np.load(stack, mmap_mode="r")
    for array in (mapped, mapped[2:8], np.asarray(mapped), mapped.reshape(3, 4, 6, 8)[::2].T):
        assert files_of(array) == (stack,)
    lazy = Dataset.from_stack(mapped, (3, 4))
    assert lazy.inputs == lazy.load().inputs == (stack,)
    assert Dataset(np.ones((2, 2, 4, 4))).inputs == ()
    named = tmp_path / "\u00c5ngstr\u00f6m 100%.h5"
    named.write_bytes(data.read_bytes())
    for path in (data, named):
        for trusted in (False, True):
            with open_hdf5(path, trusted) as file:
                dataset = Dataset(file["datacube_root/datacube/data"])
            assert dataset.inputs == (path,) and dataset.pattern(2, 3).shape == (6, 8), "also of a file that is closed"
    with data.open("rb") as opened, h5py.File(opened) as file:
        assert Dataset(file["datacube_root/datacube/data"]).inputs == (), "an object that does not say where it reads"


class Wrapper:
    """An array of another package, which holds the one that it reads from."""

    def __init__(self, inner):
        self.inner, self.shape, self.dtype = inner, inner.shape, inner.dtype

    def __getitem__(self, key):
        return self.inner[key]


class Graph(Wrapper):
    """As dask's: what is read from stands at the beginning of a graph."""

    def __init__(self, inner):
        super().__init__(inner)
        self.inner = None
        self.graph = {"original": inner, ("block", 0): ("read", "original"), ("block", 1): ("read", "original")}

    def __dask_graph__(self):
        return self.graph


class Failing(Wrapper):
    """Whatever is asked for beyond what an array has fails, as it may in another package."""

    def __getattr__(self, name):
        raise RuntimeError(name)


def test_looking_for_files_does_not_fail(tmp_path, data):
    assert files_of(Failing(np.ones((3, 4, 6, 8)))) == ()
    without = Wrapper(read(data).data)
    without.__dask_graph__ = None
    assert files_of(without) == (data,)
    without.__dask_graph__ = lambda: None  # as xarray's, of an array that is no graph
    assert files_of(without) == (data,)


def test_arrays_within_arrays_are_followed(tmp_path, data):
    np.save(tmp_path / "scan.npy", np.ones((3, 4, 6, 8)))
    mapped = np.load(tmp_path / "scan.npy", mmap_mode="r")
    assert files_of(Wrapper(Wrapper(mapped))) == files_of(Graph(mapped)) == (tmp_path / "scan.npy",)
    assert Dataset(Wrapper(read(data).data)).inputs == (data,)
    labelled = Wrapper(np.ones((3, 4, 6, 8)))
    labelled.encoding = {"source": str(data)}  # xarray's
    assert files_of(labelled) == (data,)
    circle = Wrapper(mapped)
    circle.inner = circle
    assert files_of(circle) == ()


def test_files_behind_links_are_inputs_too(tmp_path, data):
    np.ones((3, 4, 6, 8), np.float32).tofile(tmp_path / "raw.bin")
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["linked"] = h5py.ExternalLink("data.h5", "datacube_root/datacube/data")
        layout = h5py.VirtualLayout((3, 4, 6, 8), "u2")
        layout[:] = h5py.VirtualSource("data.h5", "datacube_root/datacube/data", (3, 4, 6, 8))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (3, 4, 6, 8), "f4", external=[(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)])
    for name, source in {"linked": data, "virtual": data, "raw": tmp_path / "raw.bin"}.items():
        dataset = read(tmp_path / "master.h5", dataset=name, allow_external=True)
        assert set(dataset.inputs) == {tmp_path / "master.h5", source}, name
        before = source.read_bytes()
        with pytest.raises(FileFormatError, match="never written over"):
            write(source, dataset, overwrite=True)
        unchanged(source, before, tmp_path)


def test_every_file_of_a_data_set_is_refused(tmp_path, data):
    np.save(tmp_path / "vacuum.npy", np.ones((6, 8)))
    dataset = read(data, vacuum=tmp_path / "vacuum.npy")
    before = (tmp_path / "vacuum.npy").read_bytes()
    with pytest.raises(FileFormatError, match="never written over"):
        write(tmp_path / "vacuum.npy", dataset, overwrite=True)
    unchanged(tmp_path / "vacuum.npy", before, tmp_path)


# ---------------------------------------------------------------- what else is there


def contents_of_others():
    def hdf5(path):
        with h5py.File(path, "w") as file:
            file["x"] = 1

    def both(path):
        with h5py.File(path, "a") as file:
            file["notes"] = "of somebody else's"

    return {
        "text": lambda path: path.write_text("notes"),
        "empty": lambda path: path.write_bytes(b""),
        "hdf5": hdf5,
        "a reconstruction and more": both,
        "cut off": lambda path: path.write_bytes(path.read_bytes()[:3000]),
        "before it": lambda path: path.write_bytes(b" " * 512 + path.read_bytes()),
    }


@pytest.mark.parametrize("kind", contents_of_others())
def test_what_is_something_else_is_replaced_only_when_asked_to(tmp_path, saved, kind):
    whole = saved.read_bytes()
    contents_of_others()[kind](saved)
    before = saved.read_bytes()
    assert not is_reconstruction(saved)
    words = r"already exists and is not a saved reconstruction; pass overwrite=True"
    with pytest.raises(FileInTheWay, match=words), atomic_file(saved, replaces=RECONSTRUCTION):
        pass
    unchanged(saved, before, tmp_path)
    with atomic_file(saved, overwrite=True) as temporary:
        temporary.write_bytes(whole)
    assert saved.read_bytes() == whole


def test_a_data_set_does_not_replace_a_reconstruction(tmp_path, saved):
    before = saved.read_bytes()
    with pytest.raises(FileInTheWay, match="already exists; pass overwrite=True"):
        write(saved, Dataset(np.ones((2, 2, 4, 4))))
    unchanged(saved, before, tmp_path)


def test_recognising_a_reconstruction_reads_no_array(tmp_path, saved, monkeypatch):
    def refused(*_):
        raise AssertionError("an array was read")

    monkeypatch.setattr(h5py.Dataset, "__getitem__", refused)
    assert is_reconstruction(saved)


def test_a_reconstruction_that_is_open_is_recognised(saved):
    with h5py.File(saved):
        assert is_reconstruction(saved)
    with open_hdf5(saved):
        assert is_reconstruction(saved)


def test_what_appears_while_one_works_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    exists = Path.exists
    looked = []

    def look(self, **options):
        found = exists(self, **options)
        if self == path and looked:  # between the last look and the new name
            path.write_text("theirs")
        looked.append(self == path)
        return found

    monkeypatch.setattr(Path, "exists", look)
    with pytest.raises(FileInTheWay, match="already exists"), atomic_file(path) as temporary:
        temporary.write_text("mine")
    monkeypatch.undo()
    unchanged(path, b"theirs", tmp_path)


def test_without_hard_links_it_works_too(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", none)
    with atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("1")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "1")]


def test_two_that_save_to_one_path_leave_one_whole_file(tmp_path, saved):
    from ptywidgets.engine.checkpoint import load_checkpoint

    checkpoint, path = load_checkpoint(saved), tmp_path / "both.h5"
    failed = []

    def work():
        try:
            for _ in range(10):
                save_checkpoint(path, checkpoint)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and load_checkpoint(path).plan == checkpoint.plan
    assert sorted(file.name for file in tmp_path.iterdir()) == ["both.h5", "saved.h5"]


# ---------------------------------------------------------------- places where no file goes


@pytest.mark.parametrize(
    "name, words",
    [
        ("", "path is empty"),
        ("  ", "path is empty"),
        (".", "is a folder"),
        ("nowhere/a.h5", "there is no folder"),
        ("file.txt/a.h5", "there is no folder"),
        ("new.h5/", "names a folder"),
        ("a\0b.h5", "not a usable path"),
        ("n" * 300, "name is too long"),
        ("~nobody-of-this-name/a.h5", "home folder"),
        (None, "a path is expected, got None"),
        (3, "a path is expected, got 3"),
    ],
)
def test_what_cannot_be_the_name_of_a_file_is_said(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(FileFormatError, match=words), atomic_file(name, overwrite=True):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


@posix
def test_only_plain_files_are_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket")
    special = {"pipe": "a pipe", "circle": "in a circle", "socket": "a socket", "/dev/null": "a device"}
    for name, words in special.items():
        with pytest.raises(FileFormatError, match=words), atomic_file(tmp_path / name, overwrite=True):
            pass
    listening.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["circle", "pipe", "socket"]


def test_a_read_only_file_stays(tmp_path, saved):
    before = saved.read_bytes()
    saved.chmod(0o444)
    with pytest.raises(FileFormatError, match="is read-only"), atomic_file(saved, overwrite=True):
        pass
    unchanged(saved, before, tmp_path)


@posix
def test_no_permission_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # a superuser may write everywhere
    assert atomic.checked_target(tmp_path / "a.h5") == tmp_path / "a.h5", "where one is told so, but may"

    def refuses(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuses)
    with pytest.raises(FileFormatError, match=r"no permission to write there.*choose another folder"):
        atomic.checked_target(tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_a_path_may_be_bytes(tmp_path):
    assert write(os.fsencode(tmp_path / "a.h5"), Dataset(np.ones((2, 2, 4, 4)))) == tmp_path / "a.h5"


@posix
def test_a_link_to_nowhere_is_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with atomic_file(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there").read_text() == "new"


def test_long_names_of_letters_of_several_bytes(tmp_path):
    path = tmp_path / ("試" * 80)
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


@posix
def test_a_private_file_is_private_while_it_is_written(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o600)
    with atomic_file(path, overwrite=True) as temporary:
        assert temporary.stat().st_mode & 0o777 == 0o600


@posix
def test_a_file_that_is_too_large_for_its_place_is_said(tmp_path):
    with pytest.raises(FileFormatError, match="larger than a file may be there"), atomic_file(tmp_path / "a"):
        raise OSError(errno.EFBIG, "File too large")


# ---------------------------------------------------------------- what killed processes leave

KILLED = """
import os, signal, sys
from ptywidgets.engine.io import atomic_file
with atomic_file(sys.argv[1]) as temporary:
    temporary.write_text("half of it")
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("here", flush=True)
    sys.stdin.readline()
"""


def start(path, what):
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", KILLED, path, what], stdin=pipe, stdout=pipe, text=True)


def parts(folder):
    return sorted(file.name for file in folder.glob(".*.part"))


@posix
def test_what_dead_processes_left_is_removed_and_what_living_ones_write_is_not(tmp_path):
    living = start(tmp_path / "slow.txt", "wait")
    living.stdout.readline()
    (mine,) = parts(tmp_path)
    dead = start(tmp_path / "lost.txt", "die")
    assert dead.wait() == -9 and len(parts(tmp_path)) == 2
    with atomic_file(tmp_path / "other.txt") as temporary:
        temporary.write_text("whole")
        assert sorted(parts(tmp_path)) == sorted([mine, temporary.name])
    living.communicate("\n", timeout=30)
    assert living.returncode == 0 and (tmp_path / "slow.txt").read_text() == "half of it"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other.txt", "slow.txt"]
    dead.stdin.close(), dead.stdout.close()


@posix
def test_only_what_is_certainly_ours_and_left_behind_is_removed(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    gone, here, elsewhere = child.pid, atomic._place(), "0" * 8
    child.wait()
    made = {
        f".a.h5.{gone}-01234567-{here}.part": False,
        f".b.{gone}-01234567-{here}.part": False,  # of another name in the same folder
        f".a.h5.{os.getpid()}-01234567-{here}.part": True,  # of a living process
        f".a.h5.1-01234567-{here}.part": True,  # of somebody else's
        f".a.h5.{gone}-01234567-{elsewhere}.part": True,  # its number means nothing here
        f".a.h5.{gone}-01234567.part": True,  # of an older version, which did not say where
        f"a.h5.{gone}-01234567-{here}.part": True,
        f".a.h5.{gone}-0123456-{here}.part": True,
        f".a.h5.{gone}-01234567-{here}.part.txt": True,
        f".a.h5.x{gone}-01234567-{here}.part": True,
        "download.part": True,
    }
    for name in made:
        (tmp_path / name).write_text("half")
    folder = tmp_path / f".d.{gone}-01234567-{here}.part"
    folder.mkdir()
    link = tmp_path / f".l.{gone}-01234567-{here}.part"
    link.symlink_to("download.part")
    old = [f".old.{process}-01234567{place}.part" for process in (gone, os.getpid()) for place in ("", "-" + elsewhere)]
    for name in old:
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (time.time() - 2 * 86400,) * 2)
    with atomic_file(tmp_path / "a.h5") as temporary:
        temporary.write_text("whole")
    kept = {name for name, stays in made.items() if stays} | {"a.h5", folder.name, link.name}
    assert {file.name for file in tmp_path.iterdir()} == kept


@posix
def test_nothing_is_left_of_a_disk_that_runs_full(tmp_path, saved):
    before = saved.read_bytes()
    code = """
import resource, sys
from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.checkpoint import load_checkpoint, save_checkpoint
checkpoint = load_checkpoint(sys.argv[1])
for most in range(0, int(sys.argv[2]), int(sys.argv[2]) // 12):  # bytes of a file: it ends at each of its parts
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    for target in sys.argv[1], sys.argv[1] + ".new":
        try:
            save_checkpoint(target, checkpoint)
        except PtyError as error:
            assert "larger than a file may be" in str(error), error
        else:
            raise AssertionError(most)
"""
    done = subprocess.run([sys.executable, "-c", code, saved, str(len(before) - 1)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["saved.h5"] and saved.read_bytes() == before


def test_an_hdf5_file_goes_through_the_same_door(tmp_path, data):
    before = data.read_bytes()
    for rule in ({"inputs": [data], "overwrite": True}, {}):
        with pytest.raises(FileFormatError), atomic_hdf5(data, **rule):
            pass
        unchanged(data, before, tmp_path)
