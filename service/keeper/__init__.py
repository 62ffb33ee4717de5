"""The keeper: the one door to the ledger's secrets.

Every operation takes a Caller first and has one shape: *evaluate* what the caller may do on the present
state, *record* the event, and only then *answer*. `door.py` holds that shape; the other modules hold one
noun each.
"""
