"""Templates: Jinja2 in its sandbox, given what is known, and noting what they asked for.

A template is part of the configuration, and its author decides what is written. The sandbox keeps one that was copied
from somewhere to just that: no Python, no files, no other templates, and an end to how much it may write.

An error of a template never quotes a value: it is told by its place and its kind alone, and by a name only where that
name stands in the template itself.
"""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jinja2
import jinja2.sandbox
from jinja2 import meta, nodes
from jinja2.exceptions import SecurityError

from keywright.agent import subject
from keywright.agent.quoting import FILTERS
from keywright.agent.subject import Known, Subject
from keywright.credential import Credential, Endpoint, Entry, Tls
from keywright.errors import Invalid, KeywrightError

LARGEST = 4 * 1024 * 1024
"""Characters that a template may write, and that one value in it may grow to."""
FUNCTIONS = frozenset({"value", "credential", "age"})
"""What templates may call."""
_GROWING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map"})


class Broken(Exception):
    """A template that cannot be rendered. The text holds no value."""


class Unheard(Exception):
    """Something that nothing is known of yet."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(str(subject))
        self.subject = subject
        self.line = 0
        """Of the template that asked for it; 0 where that is not known."""


@dataclass(frozen=True)
class Offered:
    """A credential as templates see it: the best entry at hand, and `entries` for all."""

    username: str
    password: str
    url: str
    host: str
    port: int
    database: str
    engine: str
    generation: int
    good_until: datetime | None
    rotates_at: datetime | None
    endpoints: tuple[Endpoint, ...]
    tls: Tls
    options: Mapping[str, Any]
    entries: tuple[Entry, ...]

    def __repr__(self) -> str:
        return f"Offered({self.database})"


def offered(it: Credential) -> Offered:
    """What a template gets of a credential."""
    return Offered(
        username=it.best.username,
        password=it.best.password,
        url=it.best.url,
        host=it.primary.host,
        port=it.primary.port,
        database=it.database,
        engine=it.engine,
        generation=it.generation,
        good_until=it.best.good_until,
        rotates_at=it.rotates_at,
        endpoints=it.endpoints,
        tls=it.tls,
        options=dict(it.options),
        entries=it.entries,
    )


class _Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """No loader, so no other templates; and nothing that makes much of little."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and not (isinstance(obj, str) and attr in _GROWING)

    def wrap_str_format(self, value: Any) -> None:
        """None: `format`, which makes a gigabyte of ten characters, is an attribute like others."""

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or not all(isinstance(side, int | float) for side in (left, right)):
            raise SecurityError(f"'{operator}' is for numbers, and '**' for nothing")
        return super().call_binop(context, operator, left, right)


class Rendering:
    """Compiles templates, and renders them of what is known."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` in seconds since 1970."""
        self._now = now
        self._environment = _Sandbox(
            undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True, auto_reload=False
        )
        self._environment.globals.pop("lipsum", None)
        for name in ("center", "format", "indent", "wordwrap", "tojson", "pprint", "xmlattr", "batch", "slice"):
            self._environment.filters.pop(name, None)
        self._environment.filters.update({name: _defined(filter_) for name, filter_ in FILTERS.items()})

    def template(self, name: str, source: str) -> "Template":
        """Raises Broken when it is none, or uses what nobody defines, in whichever branch."""
        try:
            tree = self._environment.parse(source)
            undeclared = meta.find_undeclared_variables(tree) - FUNCTIONS
            compiled = self._environment.from_string(source)
        except jinja2.TemplateError as error:
            line = getattr(error, "lineno", None)
            raise Broken(f"{name}{f', line {line}' if line else ''}: {error.message}") from None
        except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
            raise Broken(f"{name}: it cannot be read ({type(error).__name__})") from None
        if undeclared:
            first = next(node for node in tree.find_all(nodes.Name) if node.name in undeclared)
            raise Broken(f"{name}, line {first.lineno}: {first.name!r} is not defined")
        return Template(name, source, compiled, self._now)


@dataclass
class Needs:
    """What a text depends on; `time`: on how old that is, too."""

    subjects: set[Subject] = field(default_factory=set)
    time: bool = False


@dataclass(frozen=True)
class Template:
    """One that was compiled. `name` is told in errors."""

    name: str
    source: str
    compiled: jinja2.Template
    now: Callable[[], float]

    def render(self, known: Mapping[Subject, Known], needs: "Needs") -> str:
        """Its text; `needs` is told what that depends on, whatever comes of it.

        Raises Unheard for the first subject that is not in `known`, and Broken.
        """
        asked = needs.subjects

        def look(wanted: Subject) -> Known:
            asked.add(wanted)
            if wanted not in known:
                raise Unheard(wanted)
            return known[wanted]

        def age(name: str) -> int:
            """Seconds since the server last confirmed what the template has used under this name."""
            needs.time = True
            used = {each for each in asked if each.name == name and each in known}
            if not used:
                raise Broken(f"{self.name}: age() is for a name that was used before it")
            return int(max(known[each].age(self.now()) for each in used))

        functions = {
            "value": lambda name: look(subject.value(self._name(name))).value(),
            "credential": lambda name: offered(look(subject.credential(self._name(name))).credential()),
            "age": age,
        }
        pieces: list[str] = []
        length = 0
        try:
            for piece in self.compiled.generate(functions):
                pieces.append(piece)
                length += len(piece)
                if length > LARGEST:
                    raise Broken(f"{self.name}: it writes more than {LARGEST:,} characters")
            text = "".join(pieces)
            text.encode()
        except Unheard as unheard:
            unheard.line = _line(unheard)
            raise
        except Broken:
            raise
        except Exception as error:  # noqa: BLE001 - a template can fail of anything, and the text may quote a value
            raise Broken(f"{self.name}, line {_line(error)}: {self._reason(error)}") from None
        return text

    def _name(self, given: object) -> str:
        """One that was put together may hold a value, which would travel in a URL and stand in the log."""
        if not isinstance(given, str) or given not in self.source:
            raise Invalid("value() and credential() take a name that stands in the template as a whole")
        return given

    def _reason(self, error: Exception) -> str:
        if isinstance(error, KeywrightError | SecurityError):
            told = str(error)
            return told if isinstance(error, KeywrightError) or _quotes_only(told, self.source) else "not permitted"
        if isinstance(error, jinja2.UndefinedError):
            words = [word for word in (error.message or "").split("'")[1::2] if word in self.source]
            return f"{words[-1]!r} is not defined" if words else "something is not defined"
        return f"it failed ({type(error).__name__}; its text is not told, it may hold a value)"


def _defined(filter_: Callable[[Any], str]) -> Callable[[Any], str]:
    def filtered(value: Any) -> str:
        return filter_(str(value) if isinstance(value, jinja2.Undefined) else value)  # str() raises what is its due

    return filtered


def _quotes_only(told: str, source: str) -> bool:
    return all(word in source for word in told.split("'")[1::2])


def _line(error: Exception) -> int:
    """Where in the template; 0 where that is not known."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == "<template>":
            return frame.lineno or 0
    return 0
