"""Aberrations of the probe-forming lens, to fifth order.

chi(alpha, phi) = 2 pi / lambda sum_nm alpha^(n+1) / (n+1) C_nm cos(m (phi - phi_nm)), and the transfer function is
exp(-i chi); Krivanek, Dellby and Lupini, Ultramicroscopy 78, 1 (1999). Coefficients C_nm in A, angles phi_nm in rad,
counted from the row axis (down) towards the column axis (right), in the detector frame. `defocus` = -C10: a positive
defocus puts the crossover behind the specimen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError, UnknownAttributeError, unknown_name
from ptywidgets.engine.core.units import wavelength

SYMBOLS: dict[str, tuple[int, int]] = {
    f"C{n}{m}": (n, m)
    for n, ms in {1: (0, 2), 2: (1, 3), 3: (0, 2, 4), 4: (1, 3, 5), 5: (0, 2, 4, 6)}.items()
    for m in ms
}
ALIASES = {
    "Cs": "C30",
    "C5": "C50",
    "C1": "C10",
    "C3": "C30",
    "astigmatism": "C12",
    "astigmatism_angle": "phi12",
    "coma": "C21",
    "coma_angle": "phi21",
    "trefoil": "C23",
    "trefoil_angle": "phi23",
}
NAMES = {
    "C10": "defocus (negative)",
    "C12": "twofold astigmatism",
    "C21": "axial coma",
    "C23": "threefold astigmatism",
    "C30": "spherical aberration",
    "C32": "axial star",
    "C34": "fourfold astigmatism",
    "C41": "fourth-order coma",
    "C43": "three-lobe aberration",
    "C45": "fivefold astigmatism",
    "C50": "fifth-order spherical",
    "C52": "fifth-order star",
    "C54": "fifth-order rosette",
    "C56": "sixfold astigmatism",
}


def known_names() -> list[str]:
    """Names of coefficients that :class:`Aberrations` takes: polar, Cartesian and aliases."""
    names = ["defocus", *ALIASES]
    for symbol, (_, m) in SYMBOLS.items():
        names.append(symbol)
        if m:
            names += [f"{symbol}a", f"{symbol}b", f"phi{symbol[1:]}"]
    return names


class Aberrations(Mapping[str, float]):
    """An immutable set of aberration coefficients; a mapping of the polar names that are not zero.

    Parameters
    ----------
    **coefficients : float
        Polar ``C12`` (A) with ``phi12`` (rad), or Cartesian ``C12a``, ``C12b`` (A) with C_a = C cos(m phi),
        C_b = C sin(m phi); aliases ``defocus`` (= -C10), ``Cs``, ``astigmatism``, ``coma``, ... ``defocus=None`` is a
        defocus that nobody knows: :attr:`known` is then False, and where a number must be it counts as 0.

    Raises
    ------
    ParameterError
        For an unknown name (with the nearest), a value that is no finite number, or one given twice.

    Examples
    --------
    >>> Aberrations(defocus=500)["C10"]
    -500.0
    >>> a = Aberrations(C12a=3.0, C12b=4.0)
    >>> round(a["C12"], 6), round(a["phi12"], 6)
    (5.0, 0.463648)
    >>> unknown = Aberrations(defocus=None, C30=1e4)
    >>> unknown.known, unknown.replace(defocus=0).known
    (False, True)
    >>> Aberrations(defocsu=500)
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.ParameterError: unknown aberration 'defocsu'; did you mean 'defocus'? Known: ...
    """

    __slots__ = ("_known", "_polar")
    _known: bool
    _polar: dict[str, float]

    def __init__(self, **coefficients: float | None) -> None:
        defocus_known = True
        polar: dict[str, float] = {}
        cartesian: dict[str, list[float]] = {}
        known = known_names()
        for name, value in coefficients.items():
            if name not in known:
                raise unknown_name("aberration", name, known)
            if value is None and ALIASES.get(name, name) in ("defocus", "C10"):
                defocus_known = False
                continue
            try:
                number = math.nan if isinstance(value, (str, bool)) else float(value)  # type: ignore[arg-type]  # None is told like any other
            except (TypeError, ValueError, OverflowError):
                number = math.nan
            if not math.isfinite(number):
                raise ParameterError(f"aberration {name} is {value!r}; expected a finite number.")
            symbol = ALIASES.get(name, name)
            if symbol == "defocus":
                symbol, number = "C10", -number
            if symbol[-1] in "ab":
                cartesian.setdefault(symbol[:-1], [0.0, 0.0])["ab".index(symbol[-1])] = number
                continue
            if symbol in polar:
                raise ParameterError(
                    f"aberration {symbol} is given twice (as {name!r} and under another name); give it once."
                )
            polar[symbol] = number
        for symbol, (a, b) in cartesian.items():
            if symbol in polar:
                raise ParameterError(f"aberration {symbol} is given in polar and in Cartesian form; give one of them.")
            polar[symbol] = math.hypot(a, b)
            polar[f"phi{symbol[1:]}"] = math.atan2(b, a) / SYMBOLS[symbol][1]
        if not defocus_known and "C10" in polar:
            raise ParameterError("the defocus is given and said to be unknown, as None; give it once.")
        object.__setattr__(self, "_known", defocus_known)
        object.__setattr__(self, "_polar", {k: v + 0.0 for k, v in sorted(polar.items()) if v})

    def __setattr__(self, name: str, value: Any) -> None:
        raise UnknownAttributeError(
            f"{name} cannot be set: aberrations never change in place; make others, replace({name}={value!r})."
        )

    def __setstate__(self, state: Any) -> None:  # of copies and pickles, which set slots one by one
        object.__setattr__(self, "_known", bool(state[1]["_known"]))
        object.__setattr__(self, "_polar", dict(state[1]["_polar"]))

    def __getitem__(self, name: str) -> float:
        if name == "defocus":
            return -self._polar.get("C10", 0.0) + 0.0
        symbol = ALIASES.get(name, name)
        if symbol not in known_names():
            raise unknown_name("aberration", name, known_names())
        if symbol[-1] in "ab":
            return self.cartesian[symbol]
        return self._polar.get(symbol, 0.0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._polar)

    def __len__(self) -> int:
        return len(self._polar)

    def __repr__(self) -> str:
        unknown = [] if self._known else ["defocus=None"]
        return f"Aberrations({', '.join([*unknown, *(f'{k}={v:g}' for k, v in self._polar.items())])})"

    def __hash__(self) -> int:
        return hash((self._known, *self._polar.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aberrations) and (self._known, self._polar) == (other._known, other._polar)

    @property
    def known(self) -> bool:
        """Whether the defocus is known, be it 0; the other coefficients are 0 unless they are given."""
        return self._known

    @property
    def polar(self) -> dict[str, float]:
        """Every coefficient in polar form, zeros included: C_nm in A, phi_nm in rad."""
        out = {}
        for symbol, (_, m) in SYMBOLS.items():
            out[symbol] = self._polar.get(symbol, 0.0)
            if m:
                out[f"phi{symbol[1:]}"] = self._polar.get(f"phi{symbol[1:]}", 0.0)
        return out

    @property
    def cartesian(self) -> dict[str, float]:
        """Every coefficient in Cartesian form, in A: round ones as they are, others as C_a, C_b."""
        out = {}
        for symbol, (_, m) in SYMBOLS.items():
            c, phi = self._polar.get(symbol, 0.0), self._polar.get(f"phi{symbol[1:]}", 0.0)
            if m:
                out[f"{symbol}a"], out[f"{symbol}b"] = c * math.cos(m * phi), c * math.sin(m * phi)
            else:
                out[symbol] = c
        return out

    def replace(self, **changes: float | None) -> Aberrations:
        """A copy with some coefficients changed; one whose defocus is not known stays so until it is given.

        Examples
        --------
        >>> Aberrations(defocus=500, C30=1e4).replace(defocus=300)
        Aberrations(C10=-300, C30=10000)
        """
        merged: dict[str, float | None] = dict(self._polar)
        if not self._known:
            merged["C10"] = None
        for name in changes:
            symbol = "C10" if name == "defocus" else ALIASES.get(name, name)
            if symbol[-1] in "ab" and symbol[0] == "C":
                other = symbol[:-1] + ("b" if symbol[-1] == "a" else "a")
                if other not in changes and symbol[:-1] in merged:
                    changes = {**changes, other: self.cartesian[other]}
                merged.pop(f"phi{symbol[1:-1]}", None)
                symbol = symbol[:-1]
            merged.pop(symbol, None)
        return Aberrations(**merged, **changes)

    def rotated(self, angle: float) -> Aberrations:
        """The same lens seen in a frame whose axes are turned by `angle` (rad): phi_nm - angle.

        Examples
        --------
        >>> round(Aberrations(C12=10, phi12=0.5).rotated(0.2)["phi12"], 6)
        0.3
        """
        out = dict(self._polar)
        for symbol, (_, m) in SYMBOLS.items():
            if m and symbol in out:
                out[f"phi{symbol[1:]}"] = out.get(f"phi{symbol[1:]}", 0.0) - angle
        return Aberrations(**out) if self._known else Aberrations(defocus=None, **out)


def chi(aberrations: Mapping[str, float], ky: np.ndarray, kx: np.ndarray, energy: float) -> np.ndarray:
    """Aberration function in rad on spatial frequencies `ky` (rows), `kx` (columns) in 1/A, which broadcast.

    Examples
    --------
    >>> k = np.array([0.1])
    >>> value = chi(Aberrations(defocus=100), k, 0 * k, 80e3)[0]
    >>> bool(np.isclose(value, -np.pi * wavelength(80e3) * 100 * 0.1**2))
    True
    """
    lam = wavelength(energy)
    ky, kx = np.broadcast_arrays(np.asarray(ky, float), np.asarray(kx, float))
    alpha, phi = lam * np.hypot(ky, kx), np.arctan2(kx, ky)
    out = np.zeros(alpha.shape)
    for symbol, (n, m) in SYMBOLS.items():
        c = aberrations.get(symbol, 0.0)
        if c:
            angle = aberrations.get(f"phi{symbol[1:]}", 0.0) if m else 0.0
            out += alpha ** (n + 1) / (n + 1) * c * np.cos(m * (phi - angle))
    return 2 * np.pi / lam * out
