"""The trial: applications under `bao agent` live through rotations, and every login of theirs is counted."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.rigs.keywright import Keywrightd, running_keywrightd
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer
from tests.strangers.agents import Living, by_exec, by_template
from tests.strangers.shops import PLACE, Pace, Shop, door, on_mariadb, on_postgresql

SLOWNESS = 5
"""A rotation may take so many times its period before the trial is given up."""


@dataclass(frozen=True)
class Lived:
    """What came of one application. `wrong` is a sentence each."""

    shop: str
    strategy: str
    way: str
    rotations: int
    logins: int
    credentials: int
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Stand:
    """A Keywright with two shops, whose credentials turn by themselves."""

    keywright: Keywrightd
    shops: Sequence[Shop]
    pace: Pace
    folder: Path

    def lived(self, rotations: int, say: Callable[[str], None] = lambda _: None) -> list[Lived]:
        """Each shop's two applications, after so many rotations went all the way."""
        with ExitStack() as stack:
            living: list[tuple[Shop, Living]] = []
            for shop in self.shops:
                way_in = door(shop.client, self.keywright.url, shop)
                for under in (by_template, by_exec):
                    place = self.folder / f"{shop.strategy}-{under.__name__}"
                    living.append((shop, stack.enter_context(under(way_in, place, shop.database))))
            before = {shop.name: shop.retired for shop in self.shops}
            deadline = time.monotonic() + SLOWNESS * self.pace.every * (rotations + 2)
            seen = -1
            while time.monotonic() < deadline and not any(shop.bad for shop in self.shops):
                turned = {shop.name: shop.retired - before[shop.name] for shop in self.shops}
                if (least := min(turned.values())) != seen:
                    seen = least
                    say(f"{seen} of {rotations} rotations; {sum(len(it.failures) for _, it in living)} failed logins")
                if seen >= rotations:
                    break
                time.sleep(0.5)
            turned = {shop.name: shop.retired - before[shop.name] for shop in self.shops}
            return [self._judged(shop, it, turned[shop.name], rotations) for shop, it in living]

    def _judged(self, shop: Shop, living: Living, turned: int, wanted: int) -> Lived:
        wrong = [*shop.bad, *living.failures]
        if turned < wanted:
            wrong.append(f"only {turned} of {wanted} rotations went all the way")
        # The last one may be too young for the application to have it already.
        if living.credentials < wanted:
            wrong.append(f"it logged in with {living.credentials} credentials only:\n{living.log[-2000:]}")
        logins = len(living.journal) - len(living.failures)
        return Lived(shop.name, shop.strategy, living.way, turned, logins, living.credentials, tuple(wrong))


@contextmanager
def stand(postgresql: PostgresServer, mariadb: MariaDBServer, pace: Pace, folder: Path) -> Iterator[Stand]:
    """`keywrightd serve`, with a shop on each server."""
    with running_keywrightd(KEYWRIGHT_TICK="0.05") as it, it.client() as client:
        client.post(PLACE.rpartition("/")[0], json={"name": PLACE.rpartition("/")[2]}).raise_for_status()
        shops = (on_postgresql(client, postgresql, pace), on_mariadb(client, mariadb, pace, folder))
        yield Stand(it, shops, pace, folder)
