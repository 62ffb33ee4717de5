"""The administrator of one world: changes it, one seeded choice after the other, and writes down what holds then."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random  # noqa: TID251 - what is chosen is to be repeatable
from typing import Any

from tests.linear.history import Change
from tests.linear.world import MARK, PARTS, TEMPLATE, State
from tests.rigs.line import Line, Reply

FOLDERS = ("", "shop", "other")
HOME = "127.0.0.1"
"""Where the administrator comes from: no allowlist may keep it out."""
ELSEWHERE = "127.0.0.2"
ALLOWLISTS = ((), (HOME,), (HOME, ELSEWHERE))
LITERALS = (*PARTS, "other/C")
TOKENS = 4
TURNED, EDITED = "shop/turned", "other/edited"
Choice = tuple[float, Callable[[], None]]


class Administrator:
    """Of the environment `name`. `connections` are definitions of a connection that turns and of one that is edited.

    Every change goes through one of the `lines`, mostly the first.
    """

    def __init__(self, name: str, lines: Sequence[Line], random: Random, connections: Sequence[Any] = ()) -> None:
        self.name, self.place = name, f"/environments/{name}"
        self.texts: dict[int, str] = {}
        self.hot: tuple[int | None, str | None] = (None, None)
        """The token and the name that were changed last: what is worth asking about."""
        self.state = self.first = State()
        self.changes: list[Change] = []
        self._lines, self._random, self._connections = lines, random, connections
        self._serial, self._rotation = 0, ""
        self._grants: dict[tuple[int, str], str] = {}
        self._versions: dict[str, dict[int, tuple[str, str]]] = {}
        self._next: list[Callable[[], None]] = []

    def prepare(self) -> None:
        """Everything that the first state has; nobody fetches yet."""
        self._build()
        self._next += [self._add_token] * TOKENS
        while self._next:
            self._next.pop(0)()
        if self._connections:
            for name, body in zip(("admin", TURNED), self._connections[:2], strict=True):
                self._expect(self._ask("PUT", f"{self.place}/connections/{name}", body))
            self.state = self.state.connected(TURNED, (1, ""))
            self._edit()
        self.first, self.changes = self.state, []

    def step(self) -> None:
        """One change."""
        if self._next:
            self._next.pop(0)()
            return
        choices = self._choices()
        self._random.choices([act for _, act in choices], [weight for weight, _ in choices])[0]()

    def close(self) -> None:
        """Revoke every token: whoever still waits must wake up."""
        for token in list(self.state.tokens):
            self._revoke(token)

    def _choices(self) -> list[Choice]:
        name = self._random.choice(LITERALS)
        token = self._random.choice(list(self.state.tokens))
        folder = self._random.choice(FOLDERS)
        has, here = folder in self.state.tokens[token], name in self.state.variables
        dead = here and self.state.variables[name] is None
        listed: list[tuple[float, Callable[[], None], object]] = [
            (6, lambda: self._put(name), True),
            (10, lambda: self._put(name), dead),
            (2, lambda: self._put(name, live=False), here),
            (8 if dead else 4, lambda: self._activate(name), here and self._in_state(name, "kept")),
            (3, lambda: self._set(name, "deleted"), here and not dead),
            (2, lambda: self._set(name, "kept"), here and self._in_state(name, "deleted")),
            (1, lambda: self._delete(name), here),
            (3, lambda: self._replace_token(token), True),
            (4, lambda: self._ungrant(token, folder), has),
            (8, lambda: self._grant(token, folder), not has),
            (4, self._narrow, True),
            (0.5, self._delete_environment, not self._connections),
            (2, self._edit, self._connections),
            (1, self._disconnect, EDITED in self.state.connections),
            (1, self._rotate, self._connections and self._ready_to_turn()),
        ]
        return [(weight, act) for weight, act, possible in listed if possible]

    def _build(self) -> None:
        self._do("POST", "/environments", {"name": self.name}, replace(self.state, exists=True), "the environment made")
        template = "+".join(f"${{{part}}}" for part in PARTS)
        body = {"template": template}
        self._next = [lambda name=name: self._put(name) for name in LITERALS]  # type: ignore[misc]
        path = f"{self.place}/variables/{TEMPLATE}"
        self._next.append(lambda: self._do("PUT", path, body, self.state.put(TEMPLATE, ""), "the template put"))
        self._next += [lambda token=token: self._grant(token, "shop") for token in self.state.tokens]  # type: ignore[misc]

    def _put(self, name: str, *, live: bool = True) -> None:
        self._serial += 1
        value = f"{self.name}-{self._serial}"
        after = self.state.put(name, value) if live else self.state
        reply = self._do(
            "PUT", f"{self.place}/variables/{name}", {"value": value, "activate": live}, after, f"{name} put", name=name
        )
        known = self._versions.setdefault(name, {})
        if live:
            self._bury(name, "kept")
        known[reply.json()["newest"]] = (value, "live" if live else "kept")

    def _bury(self, name: str, state: str) -> None:
        """What was live is not any more."""
        known = self._versions[name]
        known.update({n: (value, state) for n, (value, was) in known.items() if was == "live"})

    def _in_state(self, name: str, state: str) -> list[int]:
        return [number for number, (_, is_) in self._versions[name].items() if is_ == state]

    def _activate(self, name: str) -> None:
        number = self._random.choice(self._in_state(name, "kept"))
        value = self._versions[name][number][0]
        body = {"variable": name, "version": number}
        self._do("POST", f"{self.place}/activations", body, self.state.put(name, value), f"{name} activated", name=name)
        self._bury(name, "kept")
        self._versions[name][number] = (value, "live")

    def _set(self, name: str, state: str) -> None:
        number = self._random.choice(self._in_state(name, "live" if state == "deleted" else "deleted"))
        after = self.state.put(name, None) if state == "deleted" else self.state
        body = {"variable": name, "version": number, "state": state}
        self._do("POST", f"{self.place}/versions", body, after, f"version of {name} {state}", name=name)
        self._versions[name][number] = (self._versions[name][number][0], state)

    def _delete(self, name: str) -> None:
        after = self.state.without(name)
        self._do("DELETE", f"{self.place}/variables/{name}", None, after, f"{name} deleted", name=name)
        del self._versions[name]

    def _add_token(self) -> None:
        self._serial += 1
        key = self._serial
        body = {"name": f"{self.name}-{key}"}
        reply = self._do("POST", "/tokens", body, self.state.granted(key), "a token made", token=key)
        self.texts[key] = reply.json()["token"]
        if self.state.exists:
            self._next.append(lambda: self._grant(key, self._random.choice(FOLDERS)))

    def _replace_token(self, key: int) -> None:
        self._revoke(key)
        self._next.append(self._add_token)

    def _revoke(self, key: int) -> None:
        token = self.texts[key].split("_")[1]
        self._do("DELETE", f"/tokens/{token}", None, self.state.revoked(key), "its token revoked", token=key)

    def _grant(self, token: int, folder: str) -> None:
        on = {"kind": "folder", "path": folder} if folder else {"kind": "environment"}
        body = {"token": f"{self.name}-{token}", "level": "use", "environment": self.name} | on
        after = self.state.granted(token, folder, *self.state.tokens[token])
        reply = self._do("POST", "/grants", body, after, f"a grant on '{folder}' added", token=token)
        self._grants[token, folder] = reply.json()["id"]

    def _ungrant(self, token: int, folder: str) -> None:
        after = self.state.granted(token, *(self.state.tokens[token] - {folder}))
        path = f"/grants/{self._grants[token, folder]}"
        self._do("DELETE", path, None, after, f"the grant on '{folder}' removed", token=token)

    def _narrow(self) -> None:
        wanted = self._random.choice([each for each in ALLOWLISTS if each != self.state.open_to])
        body = {"allowlist": [f"{address}/32" for address in wanted]}
        self._do("PATCH", self.place, body, replace(self.state, open_to=wanted), f"open to {wanted or 'all'}")

    def _delete_environment(self) -> None:
        self._do("DELETE", self.place, None, self.state.gone(), "the environment deleted")
        self._versions = {}
        self._next = [self._build]

    def _edit(self) -> None:
        self._serial += 1
        mark = f"n{self._serial}"
        body = self._connections[2] | {"options": {MARK: mark}}
        after = self.state.connected(EDITED, (1, mark))
        self._do("PUT", f"{self.place}/connections/{EDITED}", body, after, f"{EDITED} put", name=EDITED)

    def _disconnect(self) -> None:
        after = self.state.connected(EDITED, None)
        self._do("DELETE", f"{self.place}/connections/{EDITED}", None, after, f"{EDITED} deleted", name=EDITED)

    def _rotate(self) -> None:
        generation = self.state.connections[TURNED][0] + 1
        after = self.state.connected(TURNED, (generation, ""))
        path = f"{self.place}/rotations?wait=60"
        reply = self._do("POST", path, {"connection": TURNED}, after, f"{TURNED} turned", name=TURNED)
        told = reply.json()
        if told["stage"] not in ("draining", "retired"):
            raise AssertionError(f"the rotation did not get through: {told['stage']}, {told['reason']}")
        self._rotation = told["id"]
        self.changes[-1] = replace(self.changes[-1], mark=self._rotation)

    def _ready_to_turn(self) -> bool:
        if not self._rotation:
            return True
        return bool(self._ask("GET", f"/rotations/{self._rotation}").json()["stage"] == "retired")

    def _do(
        self,
        method: str,
        path: str,
        data: Any,
        after: State,
        what: str,
        *,
        token: int | None = None,
        name: str | None = None,
    ) -> Reply:
        reply = self._expect(self._ask(method, path, data))
        self.changes.append(Change(reply.began, reply.ended, what, after, reply.request_id))
        self.state, self.hot = after, (token, name)
        return reply

    def _ask(self, method: str, path: str, data: Any = None) -> Reply:
        line = self._lines[0] if self._random.random() < 0.6 else self._random.choice(self._lines)
        return line.ask(method, path, data)

    def _expect(self, reply: Reply) -> Reply:
        if reply.status >= 300:
            raise AssertionError(f"{self.name}: a change was answered {reply.status}: {reply.body.decode()[:300]}")
        return reply


def pause(random: Random, longest: float) -> None:
    """Between two changes: often none, sometimes long."""
    time.sleep(longest * random.random() ** 3)
