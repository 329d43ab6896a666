"""The map of Diplomacy as shapes: a coast and a border for each of the 75 provinces, worked out from places named by longitude and latitude.

Each province has some such places, the first of them where its unit stands; a point of the map belongs to the province of the nearest place
(Voronoi), and each border between two provinces is made a little uneven, the same for both. No other drawing of the map was used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy.spatial import Voronoi

from scenarios.diplomacy.map import COASTS, FULL_NAMES, KINDS, SUPPLY_CENTERS

Point = tuple[float, float]

# longitude and latitude in degrees
PLACES = """
BOH 14.4 49.8, 16.4 49.4, 13.0 50.0, 15.0 50.4
BUD 20.3 47.2, 18.4 47.2, 22.4 47.4, 24.4 46.6, 20.8 46.1, 25.4 46.0, 19.0 46.2, 22.6 46.0, 18.0 46.5, 20.5 48.3
BUR 4.6 47.0, 5.6 48.4, 4.3 45.8, 4.6 49.4, 6.6 48.4, 5.8 46.6, 3.6 48.0
GAL 23.5 49.5, 20.8 49.7, 25.6 48.9, 22.2 49.9
MOS 37.4 55.6, 33.0 56.6, 42.0 56.0, 46.0 57.6, 36.0 53.2, 41.0 53.0, 46.0 54.0, 31.2 55.4, 33.6 58.4, 38.4 58.4, 42.6 58.8, 50.0 56.0
MUN 11.4 48.7, 9.2 48.6, 10.4 50.0, 12.0 50.4, 13.2 51.0, 8.2 48.2, 12.8 48.9
PAR 2.3 48.2, 1.0 47.7, 2.5 47.0, 3.0 48.9, 1.4 48.7
RUH 7.4 51.2, 7.0 50.0, 8.4 51.6, 8.6 50.4
SER 21.0 43.7, 20.5 44.5, 22.2 43.9, 21.8 42.3, 21.4 41.6, 20.4 43.2
SIL 17.0 51.2, 15.3 51.5, 18.2 50.6
TYR 11.4 46.9, 13.0 47.3, 9.9 46.9, 9.4 46.4, 12.6 46.9, 13.4 48.0
UKR 30.4 49.6, 27.2 49.8, 33.2 50.2, 28.4 51.4, 31.6 51.8, 34.6 50.2, 28.6 48.6, 31.4 48.6
VIE 15.8 48.1, 14.4 48.3, 16.6 47.6, 15.0 47.3, 17.2 48.6
WAR 20.8 52.2, 23.2 52.0, 22.6 53.4, 19.0 51.8, 20.6 51.0, 23.0 51.0, 24.6 52.8
ALB 20.0 41.0, 20.2 40.1, 19.7 42.2
ANK 33.4 40.2, 36.8 40.2, 35.6 41.2, 32.6 41.1, 35.0 39.5, 38.4 40.6
APU 16.2 41.0, 18.0 40.4, 15.3 41.7, 17.2 40.8
ARM 42.0 40.2, 40.0 40.4, 44.4 40.2, 40.4 39.2, 43.0 41.3, 46.0 40.6, 43.4 38.8, 47.0 38.8
BEL 4.6 50.6, 5.6 50.1, 3.5 50.9, 5.3 51.2
BER 13.5 52.6, 12.0 52.9, 14.2 53.7, 12.6 53.8, 13.2 52.0, 12.2 51.9
BRE -2.0 48.2, -3.9 48.3, 0.0 48.9, -1.2 47.5, -0.7 46.9, -0.2 48.1
BUL 24.8 42.8, 26.8 42.8, 23.6 43.2, 24.5 41.7, 26.2 43.5, 23.4 41.9, 27.2 43.4
CLY -4.6 57.2, -4.5 58.2, -5.4 56.3, -4.5 55.7
CON 29.8 40.2, 28.0 39.9, 27.4 41.3, 31.0 40.8, 28.4 41.3, 26.6 41.0
DEN 9.2 56.3, 9.2 55.4, 11.8 55.5, 10.0 57.0, 10.3 55.4
EDI -2.9 56.6, -2.6 57.4, -2.6 55.6, -3.4 56.0
FIN 25.4 62.4, 27.0 61.0, 23.2 61.2, 28.0 64.0, 26.6 66.0, 25.4 68.0, 23.8 63.2, 27.6 67.6, 25.6 64.6, 28.6 62.2
GAS -0.1 44.2, 0.6 45.4, 0.9 43.4, 2.4 45.0, 0.6 46.4, 2.0 43.8, -0.9 43.5
GRE 21.8 39.6, 21.0 39.0, 22.2 37.5, 23.2 38.5, 23.2 40.6, 21.6 40.6, 21.6 38.0
HOL 5.7 52.3, 6.5 53.0, 4.8 52.0, 6.2 51.6
KIE 9.6 53.0, 9.4 52.2, 8.2 53.1, 9.6 54.4, 10.9 52.6, 10.2 51.4, 10.8 53.7, 8.4 52.5
LON 0.0 51.6, -0.8 51.2, 0.9 52.3, 0.8 51.2, -1.6 51.1, -0.6 52.0
LVN 25.4 57.0, 24.0 56.0, 26.2 58.6, 27.2 56.2, 22.2 57.0, 24.2 55.0, 22.6 55.8, 26.0 54.4, 28.0 57.4
LVP -3.0 53.9, -2.9 54.7, -2.5 53.0
MAR 5.2 44.2, 6.4 44.6, 3.6 44.2, 2.6 43.0, 4.6 44.0, 6.4 43.7, 6.2 45.6
NAF -3.0 34.2, -5.6 34.6, 0.0 35.2, 3.0 36.0, 6.0 36.2, -3.0 32.4, 2.0 33.4, 6.0 34.0, -6.6 32.6, 7.6 36.3, 0.0 31.0, 6.0 31.0
NAP 15.5 40.3, 14.6 41.0, 16.4 39.0, 16.2 38.3, 14.2 37.5, 13.1 37.7, 15.0 37.4, 16.6 39.7
NWY 8.6 61.0, 6.8 59.2, 10.6 59.9, 10.6 62.4, 12.8 64.6, 14.8 66.6, 18.6 69.0, 24.0 70.2, 28.6 70.2, 6.6 61.4, 9.0 59.2, 16.4 68.0, 21.4 69.4, 8.6 62.6
PIC 2.4 49.9, 1.6 49.6, 3.2 50.2, 2.0 50.4
PIE 7.7 45.0, 8.4 44.7, 7.4 45.8, 8.6 45.7, 7.4 44.3
POR -8.0 39.6, -8.2 41.2, -8.0 37.9
PRU 20.4 54.0, 17.4 53.6, 21.8 54.8, 18.6 53.0, 16.0 53.6, 18.8 54.0, 22.2 54.2
ROM 12.5 42.1, 13.2 41.6, 12.7 42.8
RUM 26.0 45.0, 24.0 44.6, 27.4 46.6, 28.3 45.0, 22.8 44.9, 28.0 44.2, 27.0 47.6, 29.4 46.6
SEV 37.0 48.4, 34.3 45.3, 34.6 47.2, 40.0 46.8, 43.4 46.6, 42.0 44.4, 45.8 48.6, 46.0 44.4, 39.4 45.2, 42.2 42.6, 40.6 50.2, 31.6 47.4, 40.0 48.6, 45.4 42.4, 46.0 51.0, 36.6 50.0
SMY 29.6 38.4, 31.4 37.8, 33.6 37.6, 30.2 37.2, 36.4 38.0, 38.4 38.6, 28.0 38.4, 28.4 37.3, 32.4 38.8, 35.4 37.3, 40.0 38.0
SPA -3.7 40.2, -5.4 41.8, -1.4 41.4, -4.4 37.8, -1.6 38.6, -5.8 39.4, -7.2 42.6, 0.6 41.7, -3.2 42.7, -6.4 37.8, -2.6 37.5, -8.2 42.8, 1.8 42.0, -0.8 39.6, -5.4 36.8
STP 31.4 60.6, 34.0 63.0, 33.0 67.4, 37.4 67.2, 40.0 62.6, 46.0 64.6, 36.4 60.6, 43.0 61.4, 29.0 59.2, 33.4 65.2, 31.0 68.6, 44.0 65.4, 31.4 63.0, 48.0 61.0, 31.0 58.8, 47.0 67.0, 36.0 65.6
SWE 15.2 60.0, 14.0 57.2, 16.0 58.4, 13.2 59.0, 13.8 56.0, 15.4 62.6, 17.4 64.4, 20.4 66.4, 22.8 66.6, 17.4 60.2, 12.6 57.6, 13.2 61.4, 15.2 57.0, 14.2 63.4, 17.0 66.4, 20.0 68.0, 12.0 58.4, 17.6 59.0
SYR 37.4 35.2, 40.0 36.4, 43.0 36.4, 37.0 33.4, 40.4 33.8, 44.4 33.6, 37.4 36.6, 46.0 36.4, 36.6 31.6
TRI 16.2 44.8, 14.6 45.7, 18.2 44.2, 15.6 46.2, 17.4 43.4, 17.2 45.6, 18.8 43.0, 16.4 46.4, 19.2 44.8, 15.4 44.3
TUN 9.2 35.6, 9.6 36.7, 9.4 34.0, 9.4 32.0, 10.4 33.0, 12.4 32.0, 10.2 35.6
TUS 11.2 43.3, 10.5 43.9, 11.8 43.7, 11.2 42.8
VEN 11.7 45.4, 10.2 45.2, 12.8 46.1, 11.5 44.5, 12.9 43.6, 13.8 42.7, 9.6 45.6
WAL -3.6 52.3, -3.6 51.7, -3.7 50.7, -4.7 50.5, -2.7 51.1, -3.9 53.0, -3.0 51.8
YOR -1.0 53.8, -1.7 54.7, -0.4 53.1, -1.2 52.8
ADR 15.9 42.9, 14.6 43.9, 13.3 44.9, 18.2 41.7, 13.2 45.4, 17.3 42.2, 15.2 42.5, 18.6 41.0, 13.9 44.4, 14.4 43.3
AEG 25.0 38.2, 25.0 40.1, 24.2 37.2, 26.0 36.8, 24.4 39.4, 26.2 39.2, 27.2 36.2, 23.6 36.2, 25.4 35.4, 26.6 38.0, 24.6 38.9
BAL 18.4 56.0, 19.6 57.6, 16.4 55.2, 14.4 54.8, 19.2 55.0, 20.2 56.4, 17.4 57.0, 12.9 54.9, 11.4 54.5, 18.0 54.9, 18.4 58.2, 15.4 55.7
BAR 37.0 70.4, 31.0 71.0, 44.0 70.0, 41.4 68.4, 28.0 72.4, 36.6 69.4, 48.0 69.4, 33.0 70.0, 38.4 66.0, 39.4 65.2, 41.6 67.2, 42.6 66.8, 52.0 72.0, 40.0 73.0
BLA 33.4 43.2, 30.4 43.0, 36.6 43.0, 39.4 42.4, 31.4 45.6, 29.6 42.0, 29.8 44.4, 37.0 44.2, 33.4 42.2, 28.8 43.2, 40.6 41.7, 35.6 42.4, 36.8 46.2, 38.4 41.8, 32.4 45.9, 40.6 43.0, 31.0 41.8
BOT 20.0 62.4, 19.2 61.0, 22.0 64.4, 24.0 65.2, 22.6 59.7, 25.4 59.8, 27.6 60.0, 20.0 59.4, 21.4 58.8, 23.4 57.8, 18.8 60.2, 21.0 61.0, 21.4 63.0, 19.2 63.4, 22.8 65.4
EAS 31.0 34.2, 28.6 34.4, 34.2 34.8, 33.4 36.1, 30.4 35.8, 35.2 33.4, 27.0 32.6, 31.0 32.4, 34.0 32.4, 28.8 35.8, 35.2 36.1, 35.4 35.0, 24.6 32.6, 31.8 36.1
ENG -2.4 49.8, -0.6 50.1, 0.7 50.4, -4.4 49.5, -6.2 49.4, -0.4 49.6, 1.6 50.9, -2.6 50.2, -5.2 49.9
HEL 7.4 54.5, 7.8 54.0, 7.8 55.0, 6.6 53.9
ION 18.2 37.6, 19.4 38.9, 17.7 39.5, 16.6 36.6, 20.2 37.0, 15.2 35.8, 12.6 35.4, 18.0 34.4, 21.2 35.4, 13.6 33.8, 17.0 32.0, 21.0 33.0, 17.4 38.4, 19.0 39.9, 12.0 36.6, 18.4 38.6, 11.8 34.4, 16.0 37.2, 23.0 35.0, 14.0 36.6, 15.0 32.0, 20.4 38.1
IRI -5.2 52.4, -5.0 53.6, -6.4 51.6, -5.2 51.2, -8.6 50.8, -4.3 54.0, -6.4 50.6, -5.0 52.9, -4.0 53.6
LYO 6.0 42.7, 4.4 42.6, 8.2 43.5, 9.2 43.9, 8.2 42.4, 3.8 41.8, 5.4 43.0, 4.0 43.0, 7.4 43.4
MAO -12.0 44.6, -14.0 40.0, -10.0 42.0, -10.0 38.0, -8.0 44.6, -5.0 44.4, -3.0 44.1, -2.2 45.4, -3.2 46.7, -8.0 47.4, -14.0 47.8, -9.6 36.2, -12.0 34.0, -7.2 36.2, -9.6 33.0, -2.0 44.0, -10.0 40.2, -5.4 47.4, -9.8 43.6, -18.0 44.0, -18.0 36.0
NAO -14.0 56.0, -9.4 57.6, -13.0 52.6, -7.6 56.4, -8.0 59.2, -15.0 60.0, -12.0 50.8, -10.4 55.2, -6.6 57.6, -6.4 58.6, -6.6 55.6, -18.0 52.0, -20.0 57.0, -11.2 53.4, -18.0 63.0, -5.4 59.2
NTH 3.4 56.2, 1.0 55.0, 0.6 57.2, 4.4 54.4, 2.6 53.0, 1.4 59.0, 4.6 58.2, 6.6 56.6, 2.4 52.2, -0.6 56.2, 0.0 55.0, 1.0 53.6, 7.0 55.6, 3.4 60.0, -1.0 57.8, 3.4 51.7, 4.2 53.0, 5.0 54.0, -1.2 58.6, 2.2 51.6, 0.4 54.0, 7.6 57.2, 3.6 61.0
NWG 0.0 65.0, 5.0 64.0, -3.0 62.4, 8.0 65.6, 3.4 62.6, 11.0 67.4, -6.0 66.0, 14.0 69.6, 2.0 69.0, 20.0 71.4, -2.6 59.9, 9.4 64.4, 12.0 66.6, -5.0 60.6, 16.4 69.6, 24.0 72.0, -9.0 63.0, 5.0 62.4, 6.0 63.4, -12.0 66.0, 10.0 72.0
SKA 10.0 58.0, 8.6 57.8, 11.0 57.4, 10.8 58.6, 11.5 56.6
TYS 12.4 40.0, 10.6 41.6, 13.6 39.2, 12.0 38.8, 10.0 42.6, 14.8 39.6, 10.4 38.6, 11.6 41.4, 15.0 38.8, 13.2 40.7, 9.6 39.8, 14.6 38.5, 12.6 38.3
WES 2.6 38.2, 5.0 39.6, -1.0 36.6, -3.6 36.2, 1.0 37.0, 5.0 37.6, 8.0 38.2, 1.2 40.0, 3.0 40.6, 7.4 40.0, 0.6 38.8, -0.6 37.4, 2.6 37.2, 8.2 37.6, 8.0 41.2, 2.6 41.4, -2.2 36.3, 0.2 36.3
"""
COAST_PLACES = "BUL/EC 27.4 42.6, BUL/SC 25.2 41.3, SPA/NC -4.6 43.3, SPA/SC -1.2 38.0, STP/NC 37.4 64.6, STP/SC 29.0 60.3"
# lands nobody can enter
CLOSED = """
SWITZERLAND 8.2 46.9, 7.2 46.6, 9.0 47.2
IRELAND -8.0 53.2, -6.9 54.5, -7.8 52.3, -8.8 53.8, -6.8 53.0, -9.0 52.3
"""
ROUND = ((-40, 20), (-45, 40), (-60, 60), (-80, 80), (0, 10), (25, 15), (55, 20), (70, 45), (90, 65), (60, 85), (0, 87))  # far off: all cells end somewhere
WIDE, HIGH = 1000.0, 830.0
_NORTH, _EAST = (40.0, 58.0), 15.0  # standard parallels and central meridian of a conic projection
UNEVEN = 0.16  # of the length of a border
SHORTEST = 7.0


def project(longitude: float, latitude: float) -> Point:
    """Degrees to the map's units, by an equidistant conic."""
    one, two = (math.radians(p) for p in _NORTH)
    n = (math.cos(one) - math.cos(two)) / (two - one)
    g = math.cos(one) / n + one
    rho, theta = g - math.radians(latitude), n * math.radians(longitude - _EAST)
    apex = g - math.radians(50.5)
    x, y = rho * math.sin(theta), rho * math.cos(theta) - apex
    return round(WIDE * 0.465 + 1190 * x, 2), round(HIGH * 0.523 + 1190 * y, 2)


def _places(text: str) -> dict[str, list[Point]]:
    found = {}
    for line in text.strip().splitlines():
        name, _, rest = line.partition(" ")
        found[name] = [project(float(lon), float(lat)) for lon, lat in (pair.split() for pair in rest.split(","))]
    return found


@cache
def atlas() -> Mapping[str, Any]:
    """{"wide", "high", "provinces": [{code, name, kind, centre, x, y, path}], "coasts": [{code, x, y}], "closed": [path]}; paths as SVG has them."""
    places, closed = _places(PLACES), _places(CLOSED)
    every = [(name, point) for table in (places, closed) for name, points in table.items() for point in points]
    every += [("", project(*point)) for point in ROUND]
    outlines = _outlines([name for name, _ in every], [point for _, point in every])
    provinces = [
        {"code": code, "name": FULL_NAMES[code], "kind": KINDS[code], "centre": code in SUPPLY_CENTERS, "x": places[code][0][0], "y": places[code][0][1], "path": outlines[code]}
        for code in sorted(places)
    ]
    coasts = [{"code": code, "x": x, "y": y} for code, [(x, y)] in _places(COAST_PLACES.replace(", ", "\n")).items()]
    assert {coast["code"] for coast in coasts} == {coast for names in COASTS.values() for coast in names}
    return {"wide": WIDE, "high": HIGH, "provinces": provinces, "coasts": coasts, "closed": [outlines[name] for name in closed]}


def _outlines(names: Sequence[str], points: Sequence[Point]) -> dict[str, str]:
    """The outline of each name's part of the plane, as an SVG path."""
    cells = Voronoi(np.array(points))
    sea = [KINDS.get(name) == "sea" for name in names]
    edges: dict[str, dict[int, list[tuple[int, list[Point]]]]] = {name: {} for name in names}
    for (p, q), (a, b) in zip(cells.ridge_points.tolist(), cells.ridge_vertices, strict=True):
        if names[p] == names[q] or min(a, b) < 0:
            continue
        start, end = ((float(x), float(y)) for x, y in (cells.vertices[a], cells.vertices[b]))
        line = list(_uneven(start, end)) if not (sea[p] and sea[q]) else [start]  # borders at sea are straight
        for name in (names[p], names[q]):
            edges[name].setdefault(a, []).append((b, line))
            edges[name].setdefault(b, []).append((a, [end, *reversed(line[1:])]))
    return {name: "".join(_ring(ring) for ring in _rings(own)) for name, own in edges.items() if name}


def _uneven(a: Point, b: Point) -> Iterator[Point]:
    """The points from a up to b, b left out: midpoints moved aside, by as much for whoever asks."""
    length = math.dist(a, b)
    if length < SHORTEST:
        yield a
        return
    (ax, ay), (bx, by) = a, b
    side = math.sin(12.9898 * (ax + bx) + 78.233 * (ay + by)) * UNEVEN
    middle = ((ax + bx) / 2 - (by - ay) * side, (ay + by) / 2 + (bx - ax) * side)
    yield from _uneven(a, middle)
    yield from _uneven(middle, b)


def _rings(edges: dict[int, list[tuple[int, list[Point]]]]) -> Iterator[list[Point]]:
    """Edges, each known from both its ends, as closed rings."""
    left = {(a, b): line for a, ends in edges.items() for b, line in ends}
    while left:
        (first, at), ring = next(iter(left)), list[Point]()
        ring += left.pop((first, at))
        left.pop((at, first), None)
        while at != first:
            step = next(((a, b) for a, b in ((at, b) for b, _ in edges[at]) if (a, b) in left), None)
            if step is None:
                break
            ring += left.pop(step)
            left.pop((step[1], step[0]), None)
            at = step[1]
        yield ring


def _ring(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"
