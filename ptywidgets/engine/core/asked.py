"""What a program asks its user for, in the words of the place: arguments in code, flags on the command line, fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ptywidgets.engine.core.errors import CalibrationError

OPEN = "..."  # in the place of a number that nobody can suggest
_SWITCHED = {"on": True, "off": False}
PLACES = ("code", "command line", "widget")


CHOOSE = {
    "code": "take one of start_alternatives by take_alternative(index)",
    "command line": "take one of the readings that are listed by --alternative N",
    "widget": "choose one of the alternatives that the search has found",
}


@dataclass(frozen=True)
class Quantity:
    """A number that one may have to give, and how it is given in code and on the command line."""

    title: str  # in prose
    unit: str
    code: str  # argument with an example
    flag: str  # with an example
    calibration: bool = True  # whether it belongs to the calibration of the data


QUANTITIES = {
    "energy": Quantity("energy", "eV", "energy=80e3", "--energy 80e3"),
    "scan_step": Quantity("scan step", "A", "scan_step=4.0", "--scan-step 4.0"),
    "q_pixel": Quantity("detector pixel", "1/A", "q_pixel=0.025", "--q-pixel 0.025"),
    "semiangle": Quantity("semi-angle", "mrad", "semiangle=20.0", "--semiangle 20.0"),
    "angle_pixel": Quantity("detector pixel", "mrad", "angle_pixel=1.04", "--q-pixel 0.025"),
    "vacuum": Quantity("vacuum pattern", "", "vacuum=path", "--vacuum FILE", False),
    "thickness": Quantity(
        "thickness", "A", "model=ModelConfig(slices=10, thickness=200)", "--slices 10 --thickness 200", False
    ),
    "coherence": Quantity(
        "partial coherence",
        "A",
        "model=ModelConfig(source_size=0.4, focal_spread=40)",
        "--modes 5",  # which takes on the same, at more iterations
        False,
    ),
    "defocus": Quantity("defocus", "A", "defocus=500", "--defocus 500", False),
    "rotation": Quantity("rotation", "degrees", "prepare(rotation=-15)", "--rotation=-15", False),
    "transpose": Quantity(
        "transpose",
        "",
        "prepare(transpose=False) or prepare(transpose=True)",
        "--no-transpose or --transpose",
        False,
    ),
}
_FIELDS: dict[str, str] = {}  # of the widgets, by quantity


def enter_fields(fields: Mapping[str, str]) -> None:
    """Say which field of which widget each quantity is filled in: '"energy" (keV) in the Browser'.

    For the widgets, as they are imported; without them :func:`how_to_give` knows no field but the quantity's title.
    """
    _FIELDS.update(fields)


def how_to_give(names: Sequence[str], place: str = "code", joined: str = "and") -> str:
    """How `names` are given at a place, with an example of each.

    ``"defocus=350"`` is a name with its own example, ``"defocus=..."`` one without: where a number would be taken for
    advice.

    Examples
    --------
    >>> how_to_give(["energy", "defocus"], "command line")
    '--energy 80e3 and --defocus 500'
    >>> how_to_give(["rotation=8", "rotation=-172"], "code", "or")
    'prepare(rotation=8) or prepare(rotation=-172)'
    >>> how_to_give(["defocus=...", "rotation=..."]), how_to_give(["defocus=...", "rotation=..."], "command line")
    ('defocus=... and prepare(rotation=...)', '--defocus ... and --rotation=...')
    >>> how_to_give(["transpose=off"], "code"), how_to_give(["transpose=off"], "command line")
    ('prepare(transpose=False)', '--no-transpose')
    """
    parts = [_way(name, place) for name in names]
    where = [part.rpartition(" in the ") for part in parts]
    if place == "widget":  # several fields of one widget are named before it
        parts = [a[0] if a[1:] == b[1:] else part for a, b, part in zip(where, where[1:], parts, strict=False)] + parts[
            -1:
        ]
    words = f" {joined} ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
    field = "fields" if len(parts) > 1 and joined == "and" else "field"
    return f"the {field} {words}" if place == "widget" else words


def _way(name: str, place: str) -> str:
    name, _, value = name.partition("=")
    quantity = QUANTITIES[name]
    if place == "widget":
        field = _FIELDS.get(name, f'"{quantity.title}"')
        return f"{field}: {value}" if value and value != OPEN else field
    if name == "coherence" and value:  # two numbers
        source, spread = value.split()
        return f"model=ModelConfig(source_size={source}, focal_spread={spread})" if place == "code" else quantity.flag
    if value in _SWITCHED:  # one of two words
        flag = f"--{name}" if value == "on" else f"--no-{name}"
        return f"prepare({name}={_SWITCHED[value]})" if place == "code" else flag
    words = quantity.code if place == "code" else quantity.flag
    example = re.search(r"(?<=[= ])-?\d[\d.e]*(?=\)?$)", words)
    return words if not (value and example) else f"{words[: example.start()]}{value}{words[example.end() :]}"


class AskingError(CalibrationError):
    """Something has to be given, or given otherwise; :meth:`told` says how in the words of a place.

    Parameters
    ----------
    template : str
        In which ``{named}`` stands for the names with their units, ``{give}`` for how they are given, ``{set}`` for the
        same as a request, ``{pass}`` for one where data are opened, and ``{choose}`` for how one of the readings that a
        search has found is taken.
    *names : str
        Of what is asked for.
    joined : {"and", "or"}
        Whether all of them are needed.

    Examples
    --------
    >>> error = AskingError("{named} is not set; {set}.", "scan_step")
    >>> str(error)
    'scan_step (A) is not set; set it with dataset.with_calibration(scan_step=4.0), or pass it to read(path, ...).'
    >>> error.told("command line")
    'scan step (A) is not set; give --scan-step 4.0.'
    """

    def __init__(self, template: str, *names: str, joined: str = "and") -> None:
        self.template, self.names, self.joined = template, names, joined
        super().__init__(self.told())

    def __reduce__(self) -> tuple[object, ...]:  # an exception is pickled by its arguments, and these are not its text
        return _again, (self.template, self.names, self.joined)

    def told(self, place: str = "code") -> str:
        """The sentence, with what to do in the words of a place: "code", "command line" or "widget"."""
        give = how_to_give(self.names, place, self.joined)
        filled = {"{named}": _named(self.names, place, self.joined), "{give}": give, "{set}": self._request(place)}
        filled["{pass}"], filled["{choose}"] = self._when_opened(place), CHOOSE[place]
        text = self.template
        for slot, words in filled.items():  # not str.format: file names may hold braces
            text = text.replace(slot, words)
        return text

    def _when_opened(self, place: str) -> str:
        if place == "command line":
            return self._request(place)
        which = ", ".join(_way(name, "code") for name in self.names)
        if place == "code":
            return f"pass {'it' if len(self.names) == 1 else 'them'}: read(path, {which})"
        return f"open the file by Reconstruction.open(path, {which}), and give that to the widget"

    def about(self, words: str) -> AskingError:
        """The same error of a part, which `words` name."""
        return AskingError(f"{words}: {self.template}", *self.names, joined=self.joined)

    def _request(self, place: str) -> str:
        give = how_to_give(self.names, place, self.joined)
        if place != "code":
            return f"give {give}" if place == "command line" else f"fill in {give}"
        if not all(QUANTITIES[name.split("=")[0]].calibration for name in self.names):
            return f"give {give}"
        example = give if self.joined == "or" else ", ".join(_way(name, place) for name in self.names)
        them = "it" if len(self.names) == 1 else "them" if self.joined == "and" else "one of them"
        return f"set {them} with dataset.with_calibration({example}), or pass {them} to read(path, ...)"


def _again(template: str, names: tuple[str, ...], joined: str) -> AskingError:
    return AskingError(template, *names, joined=joined)


def _named(names: Sequence[str], place: str, joined: str) -> str:
    parts = []
    for name in dict.fromkeys(name.split("=")[0] for name in names):
        quantity = QUANTITIES[name]
        title = name if place == "code" else quantity.title
        parts.append(f"{title} ({quantity.unit})" if quantity.unit else title)
    return ", ".join(parts) if joined == "and" else " or ".join(parts)


__all__ = ["PLACES", "QUANTITIES", "AskingError", "Quantity", "enter_fields", "how_to_give"]
