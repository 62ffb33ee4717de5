"""Passing: how a rotation goes from stage to stage in the ledger, whatever happens in them.

One transaction with its events, conditional on the fencing number of the worker's claim: LeaseLost otherwise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.core.access import Caller
from service.core.event import Detail
from service.core.rotation import Rotation, Stage, require_move
from service.keeper.briefs import held_rotation
from service.keeper.door import Deed, Door
from service.ledger import rotations
from service.ledger.ledger import Transaction
from service.ledger.rotations import Claim


@dataclass(frozen=True)
class Passage:
    """A rotation passes into a stage. Several in one transaction leave nothing to be done in between."""

    stage: Stage
    sentence: str
    act: Callable[[Transaction, Rotation], Mapping[str, Any]]
    detail: Mapping[str, str | bool | None] = field(default_factory=dict)


class Passing:
    """Moves rotations. An `act` changes what it must and answers with columns of the rotation."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def move(
        self,
        caller: Caller,
        held: Claim,
        stage: Stage,
        sentence: str,
        act: Any,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Into one stage."""
        self.through(caller, held, Passage(stage, sentence, act, detail or {}))

    def through(self, caller: Caller, held: Claim, *passages: Passage) -> None:
        """Through these stages in one transaction, with an event for each."""
        deeds = [Deed(f"rotation.{passage.stage.value}") for passage in passages]

        def change(tx: Transaction) -> None:
            for deed, passage in zip(deeds, passages, strict=True):
                rotation = held_rotation(tx, held)
                require_move(rotation.stage, passage.stage)
                deed.environment, deed.resource = rotation.environment, rotation.connection
                deed.detail.update({"rotation": rotation.id} | dict(passage.detail))
                values = {"stage": passage.stage.value, "wake_at": tx.now, "attempts": 0}
                values |= passage.act(tx, rotation)
                if isinstance(generation := values.get("generation"), int):
                    deed.detail["generation"] = generation
                rotations.change(tx, held, **values, **rotations.closing(passage.stage, rotation.id, tx.now))
                rotations.tell(tx, rotation.id, passage.stage, passage.sentence)

        self._door.change(caller, deeds, change)

    def stay(
        self,
        caller: Caller,
        held: Claim,
        action: str,
        sentence: str,
        act: Any,
        detail: Mapping[str, Detail] | None = None,
    ) -> None:
        """Note something in the stage that it is in; the story tells a sentence that it does not end with yet."""

        def change(tx: Transaction) -> None:
            rotation = held_rotation(tx, held)
            deed.environment, deed.resource = rotation.environment, rotation.connection
            deed.detail["rotation"] = rotation.id
            rotations.change(tx, held, **act(tx, rotation))
            story = rotations.story(tx, rotation.id)
            if sentence and (not story or story[-1].sentence != sentence):
                rotations.tell(tx, rotation.id, rotation.stage, sentence)

        deed = Deed(action, detail=dict(detail or {}))
        self._door.change(caller, deed, change)
