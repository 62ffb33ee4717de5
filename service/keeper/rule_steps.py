"""How many steps a rule may take, worked out from its syntax tree before it is judged anywhere.

A step is about what a comparison of two numbers takes. Counted is the worst case: every part of an `&&` or `||`, every
element of a list, and of a list in a list as many as there are of both. What is written out is as long as it is;
of what belongs to the caller so much is assumed, and counted anew for who has more:

    groups of a user, texts of an attribute      ASSUMED
    a text                                       TEXT characters, or as it is written out

The tree is what `serialize` of CEL tells: a `cel.expr.CheckedExpr` (github.com/google/cel-spec, checked.proto and
syntax.proto), in the wire format of Protocol Buffers. Of that a few fields matter, and those are read here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

ASSUMED = 100
TEXT = 500
"""No text of a caller is longer: see `service/core/person.py`."""
OUTSIDE = frozenset({"within", "hour", "weekday", "date"})
"""Functions of ours."""
_OURS = 400
"""Steps of one of those, where what was asked is not remembered."""
_LOGIC = frozenset({"_&&_", "_||_", "!_", "@not_strictly_false", "_?_:_"})
_CALL = 4
_ELEMENT, _ENTRY = 3, 20
"""Of a list, of a map that is written out: it is made anew in every turn of a loop."""
_AT_ONCE = 16
"""Characters that are looked at in one step."""


class NoTree(Exception):
    """What came is not a tree that is known here, or holds what no rule needs."""


@dataclass(frozen=True)
class Shape:
    """How large something is: the longest text in it; of a list its elements, of a map its keys, and what each is."""

    chars: int = 1
    count: int = 1
    each: "Shape | None" = None
    keyed: bool = False

    @property
    def leaves(self) -> int:
        """Texts and numbers in all of it."""
        return self.count * (self.each.leaves if self.each else 1)

    @property
    def element(self) -> "Shape":
        """What a macro goes over: elements, or keys."""
        return Shape(self.chars) if self.keyed or self.each is None else self.each

    def beside(self, other: "Shape") -> "Shape":
        """As large as either of them."""
        each = self.each.beside(other.each) if self.each and other.each else self.each or other.each
        count, keyed = max(self.count, other.count), self.keyed or other.keyed
        return Shape(max(self.chars, other.chars), count, each, keyed)


Names = Mapping[str, Shape]


def steps(tree: bytes, assumed: int = ASSUMED) -> int:
    """So many at the most, for who has so many groups, and texts of an attribute. Raises NoTree."""
    texts = Shape(TEXT, assumed, Shape(TEXT))
    names = {"current_user.groups": texts, "current_user.attributes": Shape(TEXT, 50, texts, keyed=True)}
    try:
        checked = _only(_only(tree, 2), 4)
        return _Count(assumed).of(checked, names)[0]
    except (IndexError, UnicodeDecodeError, RecursionError):
        raise NoTree from None


class _Count:
    """Steps of expressions, and the shape of what they come to."""

    def __init__(self, assumed: int) -> None:
        self._assumed = assumed

    def of(self, expression: bytes, names: Names) -> tuple[int, Shape]:
        found = {number: value for number, value in _fields(expression) if number != 2}  # 2: its id
        if len(found) != 1:
            raise NoTree
        kind, value = found.popitem()
        if not isinstance(value, bytes):
            raise NoTree
        match kind:
            case 3:  # a literal: texts and bytes are the ones that are long
                return 1, Shape(max(1, len(value)))
            case 4:
                return 1, names.get(_only(value, 1).decode(), Shape(TEXT))
            case 5:
                taken, operand = self.of(_only(value, 1), names)
                return taken + 2, operand.each or operand
            case 6:
                return self._call(value, names)
            case 7:
                return self._list([self.of(each, names) for each in _all(value, 1)])
            case 8:
                return self._map(value, names)
            case 9:
                return self._loop(value, names)
        raise NoTree

    def _call(self, call: bytes, names: Names) -> tuple[int, Shape]:
        function = _only(call, 2).decode()
        parts = [self.of(each, names) for each in (*_all(call, 1), *_all(call, 3))]
        taken, shapes = sum(part[0] for part in parts), [part[1] for part in parts]
        if function in OUTSIDE:
            return taken + _OURS, Shape(10)
        if function in _LOGIC:
            return taken + 1, shapes[-1].beside(shapes[-2]) if function == "_?_:_" else Shape()
        if function == "_[_]":
            return taken + _CALL, shapes[0].each or shapes[0]
        chars = sum(shape.chars for shape in shapes) // _AT_ONCE
        if function == "contains":  # each place in the one may have to be held against the whole other one
            return taken + _CALL + shapes[0].chars * shapes[1].chars // 500, Shape()
        if function == "@in" and shapes[1].keyed:
            return taken + _CALL + chars + shapes[1].count, Shape()
        leaves = sum(shape.leaves * (1 + shape.chars // (_AT_ONCE * 8)) for shape in shapes)
        return taken + _CALL + leaves + chars, _come_to(function, shapes)

    @staticmethod
    def _list(parts: list[tuple[int, Shape]]) -> tuple[int, Shape]:
        each = Shape()
        for _, shape in parts:
            each = each.beside(shape)
        return sum(taken + _ELEMENT for taken, _ in parts) + _CALL, Shape(each.chars, len(parts), each)

    def _map(self, struct: bytes, names: Names) -> tuple[int, Shape]:
        if _all(struct, 1):
            raise NoTree  # a message of Protocol Buffers
        keys = [self.of(_only(entry, 3), names) for entry in _all(struct, 2)]
        taken, values = self._list([self.of(_only(entry, 4), names) for entry in _all(struct, 2)])
        longest = max([values.chars, *(shape.chars for _, shape in keys)])
        return taken + sum(taken + _ENTRY for taken, _ in keys), replace(values, chars=longest, keyed=True)

    def _loop(self, loop: bytes, names: Names) -> tuple[int, Shape]:
        ranges, over = self.of(_only(loop, 2), names)
        begins, so_far = self.of(_only(loop, 4), names)
        turns = over.count if over.each else self._assumed
        if so_far.each:  # a list that grows: `filter`
            so_far = Shape(over.chars, turns, over.element)
        inside = {**names, _only(loop, 3).decode(): so_far}
        inside |= {name.decode(): over.element for name in (*_all(loop, 1), *_all(loop, 8))}
        each = sum(self.of(_only(loop, part), inside)[0] for part in (5, 6))
        ends, result = self.of(_only(loop, 7), inside)
        return ranges + begins + turns * (each + 2) + ends, result


def _come_to(function: str, shapes: list[Shape]) -> Shape:
    if function == "_+_" and not any(shape.each for shape in shapes):
        return Shape(sum(shape.chars for shape in shapes))
    if function == "_+_":
        return replace(shapes[0].beside(shapes[-1]), count=sum(shape.count for shape in shapes))
    if len(shapes) == 1:  # `dyn`, `string` and others
        return shapes[0].beside(Shape(40))
    return Shape(40)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values (protobuf.dev/programming-guides/encoding). Raises NoTree, IndexError."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
        elif wire in (1, 2, 5):
            length, at = _varint(message, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            if at + length > len(message):
                raise NoTree
            yield number, message[at : at + length]
            at += length
        else:
            raise NoTree


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def _all(message: bytes, number: int) -> list[bytes]:
    return [value for found, value in _fields(message) if found == number and isinstance(value, bytes)]


def _only(message: bytes, number: int) -> bytes:
    found = _all(message, number)
    if len(found) != 1:
        raise NoTree
    return found[0]
