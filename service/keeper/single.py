"""A fetch of one value: what most applications ask, most of the time.

What was decided about a literal is kept for as long as the epoch stands: that this token may use it, from this
address, and which version is live. Kept is what the snapshot holds anyway, sealed, and no plaintext; each time anew
the token's secret is compared, its certificates and its expiry looked at, and the value opened. The rules are those of
`values.py`, asked once for each epoch, token, address and name.
"""

from dataclasses import dataclass
from datetime import datetime

from service.core.access import Caller, Grants
from service.core.errors import KeywrightError
from service.core.event import Detail, Event, Outcome
from service.core.sealed import Opening, version_context
from service.core.token import Token
from service.core.variable import ValueKind
from service.keeper.asked import Asked, Known, Told
from service.keeper.callers import Presented
from service.keeper.credentials import common_keys
from service.keeper.keys import Keyrings
from service.keeper.snapshot import Key, View
from service.keeper.values import Fetched, Values, Wanted, mark_of
from service.ledger.changes import Kind as Changed

MOST = 50_000
"""Decisions that are kept, at most."""


@dataclass(slots=True)
class Decided:
    """That a token may use a literal, and which version that is. It holds for one epoch."""

    token: Token
    caller: Caller
    """Whom the token stands for, from this address; its request is that of whoever asked first."""
    name: str
    version: int
    secret: bool
    opening: Opening
    tag: str
    mark: str
    created_at: datetime
    notes: str | None
    detail: dict[str, Detail]
    keys: frozenset[Key]

    def opened(self) -> Fetched:
        """As it is answered. Raises SealBroken."""
        text, kind = self.opening.open(), ValueKind.LITERAL
        return Fetched(self.name, text, self.version, self.secret, kind, 0.0, self.mark, self.created_at, self.notes)


class Single(Asked):
    """One fetch of one value by a token; comes to a `Told[list[Fetched]]`."""

    action = "value.fetch"

    def __init__(self, singles: "Singles", who: Presented, environment: str, name: str, known: Known) -> None:
        self._singles = singles
        self.who = who
        self.environment = environment
        self.resource = name
        self.known = known
        self.key = (who.token_id, name, environment, who.address)

    def evaluate(self, view: View) -> None:
        """As `Asked` has it: by what was decided on this epoch, or by the rules."""
        decided: Decided | None = view.snapshot.decided.get(self.key)
        if decided is None or not self._by(decided, view):
            self.act = self._singles.judge
            super().evaluate(view)

    def _by(self, decided: Decided, view: View) -> bool:
        """False: not that simple; the rules tell why."""
        token, now = decided.token, view.now
        if not (self.who.right(token, now) and self.who.usable(token, now)):
            return False
        self.error = self.event = None
        if self.known(decided.tag):
            self.result = Told(None, decided.tag, decided.keys)
        else:
            try:
                self.result = Told([decided.opened()], decided.tag)
            except KeywrightError:
                return False
            self.event = Event(
                now,
                decided.caller,
                self.action,
                Outcome.ALLOWED,
                self.environment,
                self.resource,
                decided.detail,
                self.who.request_id,
            )
        self.epoch = view.snapshot.epoch
        return True


class Singles:
    """The fetch of one value."""

    def __init__(self, values: Values, keyrings: Keyrings) -> None:
        self._values = values
        self._keyrings = keyrings

    def asked(self, who: Presented, environment: str, name: str, known: Known) -> Single:
        """To be recorded with others. The name must be one."""
        return Single(self, who, environment, name, known)

    def judge(self, view: View, asked: Asked) -> Told[list[Fetched]]:
        """By the rules; what they come to is kept, if it is simple. Raises as a fetch of values does."""
        assert isinstance(asked, Single)  # nothing else comes here  # noqa: S101
        general = self._values.asked(asked.who, asked.environment, Wanted((asked.resource,)), asked.known)
        asked.renew = general.renew
        told: Told[list[Fetched]] = general.act(view, asked)
        decided = self._decided(view, asked)
        if decided is not None:
            kept = view.snapshot.decided
            if len(kept) >= MOST:
                kept.clear()
            kept[asked.key] = decided
        return told

    def _decided(self, view: View, asked: Single) -> Decided | None:
        snapshot, caller = view.snapshot, asked.caller
        token_id, name, environment, _ = asked.key
        token, wall = snapshot.tokens.get(token_id), snapshot.environment(environment)
        variable = snapshot.variable(wall.id, name) if wall else None
        if (
            token is None
            or token.user_id  # what a person may see depends on more than the epoch: rules, fresh factors
            or Grants(token.grants).ruled
            or wall is None
            or caller is None
            or variable is None
            or variable.kind is not ValueKind.LITERAL
        ):
            return None
        if variable.number is None or variable.sealed is None or variable.created_at is None:
            return None
        context = version_context(wall.id, variable.id, variable.number)
        return Decided(
            token,
            caller,
            name,
            variable.number,
            variable.secret,
            self._keyrings.kept(wall.id, variable.sealed).opening(variable.sealed, context),
            self._values.tag_of_literal(wall, variable),
            mark_of(variable),
            variable.created_at,
            variable.notes,
            {"versions": f"{name}:{variable.number}"},
            frozenset({*common_keys(wall, caller), (Changed.VARIABLE.value, variable.id)}),
        )
