"""Whoever tries to sign in and proves nothing: a stranger to the log, like one with a wrong token.

A few events each second tell of them, and what comes beyond is counted (`keeper/strangers.py`). What was typed stands
in none of them: people type their password where their address belongs. Of an account that there is, its id does.
"""

from service.core.access import Stranger
from service.keeper.asked import Asked
from service.keeper.recorder import Recorder
from service.keeper.snapshot import View
from service.people.entering import Visitor


def refused(
    recorder: Recorder,
    visitor: Visitor,
    action: str,
    message: str,
    reason: str,
    user_id: str = "",
    *,
    method: str = "",
) -> Stranger:
    """What to raise, once it was told to the log. Raises Unrecorded. `method` is how it was tried, if not here."""
    detail = {"reason": reason} | ({"method": method} if method else {})
    stranger = Stranger(message, visitor.address, visitor.request_id, deed=(action, user_id, detail))

    def evaluate(_: View, __: Asked) -> None:
        raise stranger

    try:
        recorder.fetch(Asked(evaluate, action, "", ""))
    except Stranger:
        return stranger
    raise AssertionError("a stranger was let in")
