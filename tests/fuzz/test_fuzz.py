"""Two thousand damaged files, each opened by every door; by hand a hundred thousand, see `fuzz_hunt`."""

from __future__ import annotations

import fuzz_hunt
import pytest
from fuzz_files import make_files
from fuzz_mutations import damaged

COUNT = 2000


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, [file.name for file in make_files(folder)]


def test_the_same_seed_is_the_same_damage(whole):
    folder, names = whole
    for name in names:
        data = (folder / name).read_bytes()
        assert damaged(data, f"{name}:3") == damaged(data, f"{name}:3")
    assert len({damaged(data, f"{name}:{seed}") for seed in range(40)}) > 30


def test_damaged_files_end_in_our_own_errors(whole, artifacts):
    folder, names = whole
    report = fuzz_hunt.several(COUNT, 0, folder, names, artifacts / "fuzz", jobs=2)
    assert report.count == COUNT
    assert report.clean, f"\n{report}"


def test_what_hangs_crashes_and_is_foreign_is_found_and_the_rest_gone_on_with(tmp_path, monkeypatch):
    (tmp_path / "data.a.npy").write_bytes(bytes(100))
    child = tmp_path / "child.py"
    child.write_text(
        "import json, os, sys, time\n"
        "print('w ' + json.dumps(['data.a.npy', []]), flush=True)\n"
        "for line in sys.stdin:\n"
        "    number, name, seed = json.loads(line)\n"
        "    print(f'b {number}', flush=True)\n"
        "    if number == 1: os.abort()\n"
        "    if number == 2: time.sleep(600)\n"
        "    print(f'e {number} ' + json.dumps(['KeyError in read'] if number == 3 else []), flush=True)\n"
    )
    monkeypatch.setattr(fuzz_hunt, "CHILD", child)
    monkeypatch.setattr(fuzz_hunt, "SECONDS", 1.0)  # it sleeps, so that this is had six times
    names = ["data.a.npy"]
    report = fuzz_hunt.hunt([f"data.a.npy:{n}" for n in range(5)], tmp_path, names, tmp_path / "kept")
    assert report.count == 5 and not report.clean
    assert [case.split()[0] for case in report.crashes] == ["data.a.npy:1"]
    assert [case.split()[0] for case in report.hangs] == ["data.a.npy:2"]
    assert report.foreign == {"KeyError in read": ["data.a.npy:3"]}
    kept = (tmp_path / "kept" / "data.a.npy_2.npy").read_bytes()
    assert kept == damaged(bytes(100), "data.a.npy:2")
