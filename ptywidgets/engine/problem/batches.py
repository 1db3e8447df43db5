"""Which positions are taken together: batches that are random and yet spread evenly over the scan."""

from __future__ import annotations

import numpy as np


def shuffled(positions: np.ndarray, size: int | None, generator: np.random.Generator) -> np.ndarray:
    """A random order of positions, for batches of at most `size`, each of which lights the whole object alike.

    Neighbours are dealt out to the batches in turn, like cards. After a plain shuffle some spots of the object are lit
    twice as well as others by chance, and the brightest one holds the common step of all back.

    Parameters
    ----------
    positions : ndarray (J, 2)
        In any unit.
    size : int, optional
        Of a batch; None for all positions at once.
    generator : numpy.random.Generator

    Returns
    -------
    ndarray (J,) int
        To be cut by :func:`batches_of`.

    Examples
    --------
    >>> line = np.stack([np.zeros(6), np.arange(6.0)], axis=1)
    >>> order = shuffled(line, 3, np.random.default_rng(0))
    >>> [(part // 2).tolist() for part in batches_of(order, 3)]  # one of every pair of neighbours in each
    [[0, 1, 2], [0, 1, 2]]
    """
    count = _count(len(positions), size)
    line = along_the_scan(positions)
    hands = generator.random((-(-len(line) // count), count)).argsort(axis=1)  # who gets the next card, round by round
    return line[np.argsort(hands.ravel()[: len(line)], kind="stable")]


def batches_of(order: np.ndarray, size: int | None) -> list[np.ndarray]:
    """Nearly equal batches of at most `size` positions, each in ascending order.

    Examples
    --------
    >>> [part.tolist() for part in batches_of(np.array([4, 0, 3, 1, 2]), 3)]
    [[0, 3, 4], [1, 2]]
    """
    return [np.sort(part) for part in np.array_split(order, _count(len(order), size))]


def disjoint(corners: np.ndarray, window: tuple[int, ...]) -> list[np.ndarray]:
    """Groups of positions whose windows share no pixel, in the order of the positions as far as that goes.

    Parameters
    ----------
    corners : ndarray (B, 2) int
        First pixel of each window.
    window : (int, int)

    Returns
    -------
    list of ndarray int
        Places in `corners`, ascending in every group.

    Examples
    --------
    >>> [group.tolist() for group in disjoint(np.array([[0, 0], [0, 3], [0, 4], [4, 0]]), (4, 4))]
    [[0, 2, 3], [1]]
    """
    groups: list[list[int]] = []
    taken: list[int] = []  # bit j of each group's number: whether position j is in it
    for place, row in enumerate(np.packbits(clashes(corners, window), axis=1, bitorder="little")):
        clash = int.from_bytes(row.tobytes(), "little")
        number = next((n for n, members in enumerate(taken) if not members & clash), len(groups))
        if number == len(groups):
            groups.append([])
            taken.append(0)
        groups[number].append(place)
        taken[number] |= 1 << place
    return [np.array(group) for group in groups]


def runs(groups: list[np.ndarray], most: int) -> list[list[np.ndarray]]:
    """Runs of groups that follow each other, of at most so many positions together, or of one group.

    Examples
    --------
    >>> [len(run) for run in runs([np.arange(4), np.arange(3), np.arange(2), np.arange(9)], 8)]
    [2, 1, 1]
    """
    found: list[list[np.ndarray]] = []
    for group in groups:
        if found and sum(map(len, found[-1])) + len(group) <= most:
            found[-1].append(group)
        else:
            found.append([group])
    return found


def clashes(corners: np.ndarray, window: tuple[int, ...]) -> np.ndarray:
    """Which windows (B, B) share a pixel, of those that begin at `corners` (B, 2)."""
    rows, columns = (np.abs(first[:, None] - first) < size for first, size in zip(corners.T, window, strict=True))
    return rows & columns


def along_the_scan(positions: np.ndarray) -> np.ndarray:
    """Indices of positions (J, 2) along a curve that keeps neighbours together: G. M. Morton's order (IBM, 1966).

    Examples
    --------
    >>> along_the_scan(np.array([[0.0, 0.0], [9.0, 9.0], [1.0, 1.0], [8.0, 8.0]])).tolist()
    [0, 2, 3, 1]
    """
    low, extent = positions.min(0), float(np.ptp(positions, axis=0).max())
    cells = ((positions - low) / (extent or 1.0) * 65535).astype(np.uint64)
    code = np.zeros(len(positions), np.uint64)
    for bit in range(16):
        for axis in (0, 1):
            code |= ((cells[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(2 * bit + axis)
    return np.argsort(code, kind="stable")


def spread(positions: np.ndarray, batch: np.ndarray, most: int) -> np.ndarray:
    """About `most` indices of a batch, spread over the scan.

    Examples
    --------
    >>> spread(np.array([[0.0, 0.0], [9.0, 9.0], [1.0, 1.0], [8.0, 8.0]]), np.arange(4), 2).tolist()
    [0, 3]
    """
    return batch[along_the_scan(positions[batch])][:: max(1, len(batch) // most)]


def _count(positions: int, size: int | None) -> int:
    return 1 if size is None else -(-positions // size)
