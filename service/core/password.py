"""Password policies for databases, and passwords made to fit them.

Every character is drawn with equal chance from the policy's alphabet (by rejection, so no modulo bias);
a draw that lacks one of the required classes is thrown away whole, which keeps the rest uniform.
"""

import math
import string
from dataclasses import dataclass

from service.core.errors import Invalid
from service.core.sealed import Randomness
from service.core.secret import Secret

CLASSES = {
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "digit": string.digits,
    "symbol": "!#$%&()*+,-./:;<=>?@[]^_{|}~",
}
LEAST_BITS = 90
"""Of entropy: out of reach of offline guessing against a leaked verifier."""
LONGEST = 128


@dataclass(frozen=True)
class PasswordPolicy:
    """What a generated password looks like."""

    length: int = 32
    classes: tuple[str, ...] = ("lower", "upper", "digit")
    excluded: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.classes) - set(CLASSES)
        if unknown or not self.classes:
            raise Invalid(f"classes must be some of {', '.join(CLASSES)}", field="rotation.password.classes")
        if not 1 <= self.length <= LONGEST:
            raise Invalid(f"length must be 1 to {LONGEST}", field="rotation.password.length")
        if any(not self._alphabet(name) for name in self.classes):
            raise Invalid("excluded leaves a required class empty", field="rotation.password.excluded")
        bits = self.length * math.log2(len(self.alphabet))
        if bits < LEAST_BITS:
            raise Invalid(
                f"this gives {bits:.0f} bits; a database password needs {LEAST_BITS}: make it longer",
                field="rotation.password.length",
            )

    def _alphabet(self, name: str) -> str:
        return "".join(c for c in CLASSES[name] if c not in self.excluded)

    @property
    def alphabet(self) -> str:
        """Every character that may occur."""
        return "".join(self._alphabet(name) for name in dict.fromkeys(self.classes))

    def generate(self, randomness: Randomness) -> Secret:
        """A new password that fits."""
        alphabet = self.alphabet
        while True:
            text = "".join(alphabet[_below(len(alphabet), randomness)] for _ in range(self.length))
            if all(set(text) & set(self._alphabet(name)) for name in self.classes):
                return Secret(text)


def profile(*, strict: bool = False) -> PasswordPolicy:
    """The policy used when a connection states none; `strict` is what follows a refusal by the target."""
    if strict:
        return PasswordPolicy(length=40, classes=("lower", "upper", "digit", "symbol"), excluded="\"'\\`@/:?#%& ")
    # 32 letters and digits are 190 bits and need no quoting in any file, shell or URL, on either engine.
    return PasswordPolicy()


def _below(limit: int, randomness: Randomness) -> int:
    ceiling = 256 - 256 % limit
    while True:
        byte = randomness(1)[0]
        if byte < ceiling:
            return byte % limit
