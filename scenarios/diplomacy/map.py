"""The standard map of Diplomacy as plain data: places, borders, centres, homes, first units.

A *province* is a three-letter code; a *place* is a province or one coast of it ('SPA/NC'): what a fleet stands on.
Codes are those of the DATC test data. Borders are written from both sides, so that a slip shows as an asymmetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

POWERS = ("AUSTRIA", "ENGLAND", "FRANCE", "GERMANY", "ITALY", "RUSSIA", "TURKEY")

# code, full name, provinces an army can walk to, places a fleet can sail to; '-' where that kind of unit cannot stand or go
_LAND = """
BOH | Bohemia | GAL MUN SIL TYR VIE
BUD | Budapest | GAL RUM SER TRI VIE
BUR | Burgundy | BEL GAS MAR MUN PAR PIC RUH
GAL | Galicia | BOH BUD RUM SIL UKR VIE WAR
MOS | Moscow | LVN SEV STP UKR WAR
MUN | Munich | BER BOH BUR KIE RUH SIL TYR
PAR | Paris | BRE BUR GAS PIC
RUH | Ruhr | BEL BUR HOL KIE MUN
SER | Serbia | ALB BUD BUL GRE RUM TRI
SIL | Silesia | BER BOH GAL MUN PRU WAR
TYR | Tyrolia | BOH MUN PIE TRI VEN VIE
UKR | Ukraine | GAL MOS RUM SEV WAR
VIE | Vienna | BOH BUD GAL TRI TYR
WAR | Warsaw | GAL LVN MOS PRU SIL UKR
"""

_COAST = """
ALB | Albania | GRE SER TRI | ADR GRE ION TRI
ANK | Ankara | ARM CON SMY | ARM BLA CON
APU | Apulia | NAP ROM VEN | ADR ION NAP VEN
ARM | Armenia | ANK SEV SMY SYR | ANK BLA SEV
BEL | Belgium | BUR HOL PIC RUH | ENG HOL NTH PIC
BER | Berlin | KIE MUN PRU SIL | BAL KIE PRU
BRE | Brest | GAS PAR PIC | ENG GAS MAO PIC
BUL | Bulgaria | CON GRE RUM SER | EC: BLA CON RUM; SC: AEG CON GRE
CLY | Clyde | EDI LVP | EDI LVP NAO NWG
CON | Constantinople | ANK BUL SMY | AEG ANK BLA BUL/EC BUL/SC SMY
DEN | Denmark | KIE SWE | BAL HEL KIE NTH SKA SWE
EDI | Edinburgh | CLY LVP YOR | CLY NTH NWG YOR
FIN | Finland | NWY STP SWE | BOT STP/SC SWE
GAS | Gascony | BRE BUR MAR PAR SPA | BRE MAO SPA/NC
GRE | Greece | ALB BUL SER | AEG ALB BUL/SC ION
HOL | Holland | BEL KIE RUH | BEL HEL KIE NTH
KIE | Kiel | BER DEN HOL MUN RUH | BAL BER DEN HEL HOL
LON | London | WAL YOR | ENG NTH WAL YOR
LVN | Livonia | MOS PRU STP WAR | BAL BOT PRU STP/SC
LVP | Liverpool | CLY EDI WAL YOR | CLY IRI NAO WAL
MAR | Marseilles | BUR GAS PIE SPA | LYO PIE SPA/SC
NAF | North Africa | TUN | MAO TUN WES
NAP | Naples | APU ROM | APU ION ROM TYS
NWY | Norway | FIN STP SWE | BAR NTH NWG SKA STP/NC SWE
PIC | Picardy | BEL BRE BUR PAR | BEL BRE ENG
PIE | Piedmont | MAR TUS TYR VEN | LYO MAR TUS
POR | Portugal | SPA | MAO SPA/NC SPA/SC
PRU | Prussia | BER LVN SIL WAR | BAL BER LVN
ROM | Rome | APU NAP TUS VEN | NAP TUS TYS
RUM | Rumania | BUD BUL GAL SER SEV UKR | BLA BUL/EC SEV
SEV | Sevastopol | ARM MOS RUM UKR | ARM BLA RUM
SMY | Smyrna | ANK ARM CON SYR | AEG CON EAS SYR
SPA | Spain | GAS MAR POR | NC: GAS MAO POR; SC: LYO MAO MAR POR WES
STP | Saint Petersburg | FIN LVN MOS NWY | NC: BAR NWY; SC: BOT FIN LVN
SWE | Sweden | DEN FIN NWY | BAL BOT DEN FIN NWY SKA
SYR | Syria | ARM SMY | EAS SMY
TRI | Trieste | ALB BUD SER TYR VEN VIE | ADR ALB VEN
TUN | Tunis | NAF | ION NAF TYS WES
TUS | Tuscany | PIE ROM VEN | LYO PIE ROM TYS
VEN | Venice | APU PIE ROM TRI TUS TYR | ADR APU TRI
WAL | Wales | LON LVP YOR | ENG IRI LON LVP
YOR | Yorkshire | EDI LON LVP WAL | EDI LON NTH
"""

_SEA = """
ADR | Adriatic Sea | ALB APU ION TRI VEN
AEG | Aegean Sea | BUL/SC CON EAS GRE ION SMY
BAL | Baltic Sea | BER BOT DEN KIE LVN PRU SWE
BAR | Barents Sea | NWG NWY STP/NC
BLA | Black Sea | ANK ARM BUL/EC CON RUM SEV
BOT | Gulf of Bothnia | BAL FIN LVN STP/SC SWE
EAS | Eastern Mediterranean | AEG ION SMY SYR
ENG | English Channel | BEL BRE IRI LON MAO NTH PIC WAL
HEL | Helgoland Bight | DEN HOL KIE NTH
ION | Ionian Sea | ADR AEG ALB APU EAS GRE NAP TUN TYS
IRI | Irish Sea | ENG LVP MAO NAO WAL
LYO | Gulf of Lyon | MAR PIE SPA/SC TUS TYS WES
MAO | Mid-Atlantic Ocean | BRE ENG GAS IRI NAF NAO POR SPA/NC SPA/SC WES
NAO | North Atlantic Ocean | CLY IRI LVP MAO NWG
NTH | North Sea | BEL DEN EDI ENG HEL HOL LON NWG NWY SKA YOR
NWG | Norwegian Sea | BAR CLY EDI NAO NTH NWY
SKA | Skagerrak | DEN NTH NWY SWE
TYS | Tyrrhenian Sea | ION LYO NAP ROM TUN TUS WES
WES | Western Mediterranean | LYO MAO NAF SPA/SC TUN TYS
"""

HOME_CENTERS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "AUSTRIA": ("BUD", "TRI", "VIE"),
    "ENGLAND": ("EDI", "LON", "LVP"),
    "FRANCE": ("BRE", "MAR", "PAR"),
    "GERMANY": ("BER", "KIE", "MUN"),
    "ITALY": ("NAP", "ROM", "VEN"),
    "RUSSIA": ("MOS", "SEV", "STP", "WAR"),
    "TURKEY": ("ANK", "CON", "SMY"),
})
NEUTRAL_CENTERS = ("BEL", "BUL", "DEN", "GRE", "HOL", "NWY", "POR", "RUM", "SER", "SPA", "SWE", "TUN")
SUPPLY_CENTERS = tuple(sorted(NEUTRAL_CENTERS + tuple(c for homes in HOME_CENTERS.values() for c in homes)))

START_UNITS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "AUSTRIA": ("A BUD", "A VIE", "F TRI"),
    "ENGLAND": ("A LVP", "F EDI", "F LON"),
    "FRANCE": ("A MAR", "A PAR", "F BRE"),
    "GERMANY": ("A BER", "A MUN", "F KIE"),
    "ITALY": ("A ROM", "A VEN", "F NAP"),
    "RUSSIA": ("A MOS", "A WAR", "F SEV", "F STP/SC"),
    "TURKEY": ("A CON", "A SMY", "F ANK"),
})


def _read() -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    provinces: dict[str, tuple[str, str]] = {}
    by_land: dict[str, tuple[str, ...]] = {}
    by_sea: dict[str, tuple[str, ...]] = {}
    for kind, table in (("land", _LAND), ("coast", _COAST), ("sea", _SEA)):
        for line in table.strip().splitlines():
            code, name, *borders = (part.strip() for part in line.split("|"))
            provinces[code] = (kind, name)
            if kind != "sea":
                by_land[code] = tuple(borders[0].split())
            if kind != "land":
                for part in borders[-1].split(";"):
                    coast, _, places = part.rpartition(":")
                    by_sea[f"{code}/{coast.strip()}" if coast else code] = tuple(places.split())
    return dict(sorted(provinces.items())), by_land, by_sea


_provinces, _by_land, _by_sea = _read()

PROVINCES: Mapping[str, tuple[str, str]] = MappingProxyType(_provinces)  # code → (kind: 'land' | 'coast' | 'sea', full name)
KINDS: Mapping[str, str] = MappingProxyType({code: kind for code, (kind, _) in _provinces.items()})
FULL_NAMES: Mapping[str, str] = MappingProxyType({code: name for code, (_, name) in _provinces.items()})
COASTS: Mapping[str, tuple[str, ...]] = MappingProxyType(  # the three provinces whose coasts are named
    {code: tuple(p for p in sorted(_by_sea) if p.startswith(code + "/")) for code in ("BUL", "SPA", "STP")})
PLACES = tuple(sorted([*_provinces, *(place for places in COASTS.values() for place in places)]))


def army_neighbours(place: str) -> tuple[str, ...]:
    """Provinces an army here can walk to; none from a sea. A coast is ignored."""
    return _by_land.get(place[:3], ())


def fleet_neighbours(place: str) -> tuple[str, ...]:
    """Places (with coast) a fleet here can sail to; none from inland, none from a two-coast province without its coast."""
    return _by_sea.get(place, ())


def neighbours(kind: str, place: str) -> tuple[str, ...]:
    """Where a unit of `kind` 'A' or 'F' that stands in `place` can go without convoy."""
    return _by_land.get(place[:3], ()) if kind == "A" else _by_sea.get(place, ())


_reach = {(kind, place): frozenset(p[:3] for p in neighbours(kind, place)) for kind in "AF" for place in PLACES}


def reach(kind: str, place: str) -> frozenset[str]:
    """Provinces such a unit can attack or support into without convoy: its neighbours with coasts left out."""
    return _reach[kind, place]
