"""Damage: what a broken disk, a broken copy or bad intentions do to a file; the same for the same seed."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable

# where HDF5 keeps what it follows: superblock, trees, heaps, object headers, free space; and DigitalMicrograph its tags
_SIGNATURES = re.compile(
    rb"\x89HDF|TREE|SNOD|HEAP|GCOL|OHDR|OCHK|FRHP|FHDB|FHIB|BTHD|BTLF|BTIN|FSHD|FSSE|SMTB|SMLI|FADB|FAHD|EAHD|EAIB|EASB"
    rb"|EADB|\x93NUMPY|%%%%"
)
_EXTREME = (0, 1, 2, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)


def damaged(data: bytes, seed: str) -> bytes:
    """`data` with one to four kinds of damage, most of it where the structure of the file is."""
    chance = random.Random(seed)
    out = bytearray(data)
    places = [match.start() for match in _SIGNATURES.finditer(data)] or [0]
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        if not out:
            break
        chance.choices(_KINDS, _WEIGHTS)[0](out, chance, places)
    return bytes(out)


def _place(out: bytearray, chance: random.Random, places: list[int]) -> int:
    where = chance.random()
    if where < 0.6:
        at = chance.choice(places) + min(int(chance.expovariate(1 / 40)), 1024)
    elif where < 0.75:
        at = chance.randrange(min(len(out), 1024))
    else:
        at = chance.randrange(len(out))
    return min(at, len(out) - 1)


def _flip(out: bytearray, chance: random.Random, places: list[int]) -> None:
    for _ in range(chance.choice((1, 1, 2, 8))):
        out[_place(out, chance, places)] ^= 1 << chance.randrange(8)


def _byte(out: bytearray, chance: random.Random, places: list[int]) -> None:
    for _ in range(chance.choice((1, 1, 3, 16))):
        out[_place(out, chance, places)] = chance.choice((0, 1, 255, chance.randrange(256)))


def _number(out: bytearray, chance: random.Random, places: list[int]) -> None:
    """A length, an address or a count becomes another one, whole."""
    size = chance.choice((1, 2, 4, 8, 8))
    at = _place(out, chance, places) // size * size
    if at + size > len(out):
        return
    present = int.from_bytes(out[at : at + size], "little")
    value = chance.choice(
        (
            chance.choice(_EXTREME),
            chance.choice(places),  # the address of something else: circles
            present + chance.choice((-8, -1, 1, 8)),
            present * 2,
            at,
            chance.getrandbits(8 * size),
        )
    )
    out[at : at + size] = (value % 256**size).to_bytes(size, "little")


def _addresses(out: bytearray, chance: random.Random, places: list[int]) -> None:
    """What may be an address now leads to where something else lies, or to where it stands itself."""
    end = min(len(out) - 8, 65536)
    numbers = [(at, struct.unpack_from("<Q", out, at)[0]) for at in range(0, end, 8)]
    found = [(at, value) for at, value in numbers if 8 <= value < len(out) and value % 8 == 0]
    if found:
        at, _ = chance.choice(found)
        target = chance.choice((chance.choice(places), chance.choice(found)[1], at, at - 8, at - 24))
        struct.pack_into("<Q", out, at, max(target, 0))


def _cut(out: bytearray, chance: random.Random, places: list[int]) -> None:
    del out[_place(out, chance, places) :]


def _zero(out: bytearray, chance: random.Random, places: list[int]) -> None:
    at, size = _place(out, chance, places), chance.choice((1, 4, 16, 64, 512, 4096))
    out[at : at + size] = bytes(len(out[at : at + size]))


def _noise(out: bytearray, chance: random.Random, places: list[int]) -> None:
    at, size = _place(out, chance, places), chance.choice((4, 16, 64, 512))
    out[at : at + size] = chance.randbytes(len(out[at : at + size]))


def _extend(out: bytearray, chance: random.Random, places: list[int]) -> None:
    size = chance.choice((1, 8, 512, 65536))
    out += chance.choice((bytes(size), chance.randbytes(size)))


def _copy(out: bytearray, chance: random.Random, places: list[int]) -> None:
    size = chance.choice((8, 16, 64, 256, 1024))
    source, target = _place(out, chance, places), _place(out, chance, places)
    block = out[source : source + size]
    out[target : target + len(block)] = block


def _swap(out: bytearray, chance: random.Random, places: list[int]) -> None:
    size = chance.choice((8, 16, 64, 256))
    a, b = sorted((_place(out, chance, places), _place(out, chance, places)))
    size = min(size, b - a, len(out) - b)
    out[a : a + size], out[b : b + size] = out[b : b + size], out[a : a + size]


def _move(out: bytearray, chance: random.Random, places: list[int]) -> None:
    """Bytes are lost or come twice, and all that follows stands elsewhere."""
    at, size = _place(out, chance, places), chance.choice((1, 2, 8, 100))
    if chance.random() < 0.5:
        del out[at : at + size]
    else:
        out[at:at] = out[at : at + size]


def _text(out: bytearray, chance: random.Random, places: list[int]) -> None:
    """A name, a unit, a number in words, JSON: replaced by something of the same kind."""
    words = [match.span() for match in re.finditer(rb"[ -~]{3,}", out[:200_000])]
    if not words:
        return
    start, stop = chance.choice(words)
    new = chance.choice(
        (
            b"9" * (stop - start),
            b"-1" * ((stop - start + 1) // 2),
            b"/" * (stop - start),
            b"\xff\xfe" * ((stop - start + 1) // 2),
            b"NaN, null, [[[[",
            b"__import__('os')._exit(3)#",
            bytes(chance.choice(out[start:stop]) for _ in range(stop - start)),
        )
    )[: stop - start]
    at = start + chance.randrange(max(1, stop - start - len(new) + 1))
    out[at : at + len(new)] = new


def _digits(out: bytearray, chance: random.Random, places: list[int]) -> None:
    """A number in words becomes huge, negative or nothing."""
    found = [match.span() for match in re.finditer(rb"\d+", out[:100_000])]
    if found:
        start, stop = chance.choice(found)
        out[start:stop] = chance.choice((b"0", b"-1", b"99999999999", b"1e9", b"2" * 40, b"", b"True", b"4294967296"))


_KINDS: tuple[Callable[[bytearray, random.Random, list[int]], None], ...] = (
    _flip, _byte, _number, _addresses, _cut, _zero, _noise, _extend, _copy, _swap, _move, _text, _digits,
)  # fmt: skip
_WEIGHTS = (6, 6, 10, 4, 2, 4, 3, 1, 3, 2, 2, 3, 1)
