"""Downloading, against a server on this machine that breaks off, refuses, lies and is not there."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine.core.errors import FileFormatError, ParameterError
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.io import write
from ptywidgets.samples.cache import cache_folder, recorded_sha256, sha256_of
from ptywidgets.samples.fetch import SAMPLES, Remote, Sample, fetch, fetch_file

module = importlib.import_module("ptywidgets.samples.fetch")


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; breaks off after `server.breaks` bytes for as many requests as it holds."""

    def do_GET(self):
        server, content = self.server, self.server.files.get(self.path.strip("/"))
        server.requests.append(self.headers.get("Range"))
        if content is None:
            self.send_error(404)
            return
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and server.ranges:
            start = int(asked[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = start + server.breaks.pop(0) if server.breaks else len(content)
        self.wfile.write(content[start:stop])
        self.close_connection = True

    def log_message(self, *args):
        """Quiet."""


@pytest.fixture
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.files, httpd.breaks, httpd.requests, httpd.ranges = {}, [], [], True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """No proxy, no waiting between attempts."""
    pytest.importorskip("gdown", reason="gdown is not installed")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(module, "_OPTIONS", {**module._OPTIONS, "retries": 0})


SHAPE = (6, 6, 64, 64)  # 1.2 MB: gdown writes blocks of half a MB


@pytest.fixture
def content(tmp_path):
    data = np.random.default_rng(0).random(SHAPE)
    return write(tmp_path / "made.h5", Dataset(data, Calibration(None, 4.0, 0.025))).read_bytes()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def remote(server, content, **fields):
    server.files["scan.h5"] = content
    return Remote("scan.h5", f"http://127.0.0.1:{server.server_port}/scan.h5", **{"shape": SHAPE, **fields})


def names(folder):
    return sorted(file.name for file in folder.iterdir() if not file.name.endswith(".lock"))


def test_a_file_is_downloaded_once(server, content, folder):
    file = remote(server, content)
    path = fetch_file(file, folder, progress=False)
    assert path.read_bytes() == content and names(folder) == ["scan.h5", "scan.h5.sha256"]
    assert recorded_sha256(path) == sha256_of(path) == hashlib.sha256(content).hexdigest()
    assert fetch_file(file, folder, progress=False) == path
    assert len(server.requests) == 1


def test_progress_is_shown(server, content, folder, capsys):
    fetch_file(remote(server, content), folder, progress=True)
    assert "100%" in capsys.readouterr().err


def test_a_broken_download_goes_on_where_it_stopped(server, content, folder):
    file = remote(server, content, sha256=hashlib.sha256(content).hexdigest())
    server.breaks = [700_000]
    with pytest.raises(FileFormatError, match=r"broke off after .*; call fetch again to go on"):
        fetch_file(file, folder, progress=False)
    assert len(names(folder)) == 1 and names(folder)[0].endswith(".part")
    kept = (folder / names(folder)[0]).stat().st_size
    assert 0 < kept <= 700_000
    path = fetch_file(file, folder, progress=False)
    assert path.read_bytes() == content and names(folder) == ["scan.h5", "scan.h5.sha256"]
    assert f"bytes={kept}-" in server.requests


def test_a_server_that_cannot_go_on_is_asked_from_the_beginning(server, content, folder):
    file = remote(server, content)
    server.breaks, server.ranges = [700_000], False
    with pytest.raises(FileFormatError, match="broke off"):
        fetch_file(file, folder, progress=False)
    assert fetch_file(file, folder, progress=False).read_bytes() == content


def test_of_several_partial_files_the_longest_is_kept(server, content, folder):
    file = remote(server, content)
    (folder / "scan.h5.uncheckedaaaaaaaa.part").write_bytes(content[:10])
    (folder / "scan.h5.uncheckedbbbbbbbb.part").write_bytes(content[:1000])
    assert fetch_file(file, folder, progress=False).read_bytes() == content
    assert "bytes=1000-" in server.requests and names(folder) == ["scan.h5", "scan.h5.sha256"]


def test_a_wrong_checksum_is_refused_and_nothing_is_left(server, content, folder):
    with pytest.raises(FileFormatError, match=r"arrived damaged.*sha256"):
        fetch_file(remote(server, content, sha256="0" * 64), folder, progress=False)
    assert names(folder) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "not what was expected.*web page"),
        (b"", "not what was expected.*empty"),
    ],
)
def test_a_web_page_is_not_taken_for_data(server, folder, wrong, words):
    with pytest.raises(FileFormatError, match=words):
        fetch_file(remote(server, wrong), folder, progress=False)
    assert names(folder) == []


def test_another_shape_is_refused(server, content, folder):
    with pytest.raises(FileFormatError, match=r"shape \(6, 6, 64, 64\); expected \(41, 41"):
        fetch_file(remote(server, content, shape=(41, 41, 200, 200)), folder, progress=False)
    assert names(folder) == []


def test_a_file_that_has_changed_since_is_noticed(server, content, folder):
    file = remote(server, content)
    path = fetch_file(file, folder, progress=False)
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(FileFormatError, match=r"not the file that was downloaded.*delete it and fetch again"):
        fetch_file(file, folder, progress=False)


def test_a_file_put_there_by_hand_is_checked_and_used(server, content, folder):
    (folder / "scan.h5").write_bytes(content)
    assert fetch_file(remote(server, content), folder, progress=False).read_bytes() == content
    assert server.requests == [] and recorded_sha256(folder / "scan.h5")


def test_no_connection_is_one_sentence_and_keeps_what_is_there(server, content, folder):
    file = remote(server, content)
    server.breaks = [700_000]
    with pytest.raises(FileFormatError):
        fetch_file(file, folder, progress=False)
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    server.shutdown()
    server.server_close()
    with pytest.raises(FileFormatError, match=r"no connection to 127\.0\.0\.1.*kept.*samples\.ducky\(\)") as caught:
        fetch_file(file, folder, progress=False)
    assert str(caught.value).count(". ") == 0
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before


def test_an_unknown_host_is_no_connection(folder):
    with pytest.raises(FileFormatError, match=r"no connection to nowhere\.invalid; samples\.ducky"):
        fetch_file(Remote("scan.h5", "http://nowhere.invalid/scan.h5", SHAPE), folder, progress=False)
    assert names(folder) == []


def test_no_such_file_says_how_to_get_it_by_hand(server, folder):
    file = Remote("scan.h5", f"http://127.0.0.1:{server.server_port}/other.h5", SHAPE)
    with pytest.raises(FileFormatError, match=r"404.*browser.*save it as"):
        fetch_file(file, folder, progress=False)
    assert names(folder) == []


def test_without_gdown_it_says_what_to_install(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(FileFormatError, match="pip install gdown"):
        fetch("ducky", cache=folder)


def test_too_little_space_is_said_beforehand(server, content, folder):
    with pytest.raises(FileFormatError, match=r"needs .* TB and .* are free"):
        fetch_file(remote(server, content, size=10**18), folder, progress=False)
    assert server.requests == []


def test_two_at_once_download_once(server, content, folder):
    file, paths = remote(server, content), []
    threads = [threading.Thread(target=lambda: paths.append(fetch_file(file, folder, False))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 3 and len(server.requests) == 1


def test_a_whole_sample_opens_calibrated(server, content, tmp_path, monkeypatch):
    np.save(tmp_path / "v.npy", np.ones((64, 64)))
    server.files["vacuum.npy"] = (tmp_path / "v.npy").read_bytes()
    vacuum = Remote("vacuum.npy", f"http://127.0.0.1:{server.server_port}/vacuum.npy", (64, 64))
    sample = Sample(remote(server, content), vacuum, {"energy": 80e3, "semiangle": 20.0})
    monkeypatch.setitem(SAMPLES, "toy", sample)
    monkeypatch.setenv("PTYWIDGETS_CACHE", str(tmp_path / "mine"))
    fetched = samples.fetch("toy", progress=False)
    assert fetched.data == tmp_path / "mine" / "toy" / "scan.h5" and fetched.vacuum.exists()
    dataset = fetched.open()
    assert dataset.calibration == Calibration(80e3, 4.0, 0.025, 20.0) and dataset.vacuum.shape == (64, 64)


def test_the_published_duck():
    duck = SAMPLES["ducky"]
    assert duck.data.name == "ptycho_ducky_simulation_03.h5" and duck.data.shape == (41, 41, 200, 200)
    assert duck.vacuum.name == "ptycho_ducky_vacuum-probe_03.h5" and duck.vacuum.shape == (200, 200)
    assert duck.data.url == "https://drive.google.com/uc?id=1rCWIokqDGINpex_zYz4ryiiEkfuh1xTI"


def test_names():
    with pytest.raises(ParameterError, match="ducky"):
        fetch("duky")
    assert samples.fetch is fetch and "fetch" in samples.__all__


def test_cache_folders(monkeypatch, tmp_path):
    monkeypatch.delenv("PTYWIDGETS_CACHE", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ptywidgets"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder().parts[-3:] == ("Library", "Caches", "ptywidgets")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "ptywidgets"
    monkeypatch.setenv("PTYWIDGETS_CACHE", str(tmp_path / "env"))
    assert cache_folder() == tmp_path / "env" and cache_folder("x").name == "x"
    with pytest.raises(FileFormatError, match="cannot be made"):
        (tmp_path / "file").write_text("")
        fetch("ducky", cache=tmp_path / "file")
