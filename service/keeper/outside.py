"""Outside: what an answer that holds readings of stores waits for besides what the ledger has.

A reading is told apart from a later one by a mark, and both are in the key: whoever waits has one reading in its
answer, and is concerned by every other one of the same place, whoever made it and when.
"""

from service.core.reference import Reading
from service.keeper.copies import Place
from service.keeper.snapshot import Key

OUTSIDE = "reading"
"""The kind of such a key."""


def key_of_reading(place: Place, reading: Reading) -> Key:
    """For whoever has this reading in its answer, and waits for another."""
    # Python's own hash of a text is keyed anew for each process (SipHash, PEP 456), and the key goes no further.
    mark = hash(reading.value.reveal())
    return OUTSIDE, "\n".join((f"{mark:x}", *place))  # no part of a place holds a control character


def place_of(key: Key) -> Place:
    """Where the reading of such a key was made."""
    _, store, location, credential = key[1].split("\n")
    return store, location, credential
