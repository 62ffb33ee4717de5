"""Time-based one-time passwords: RFC 6238 with what every authenticator app knows, SHA-1, six digits, 30 seconds.

(SHA-1 is no weakness here: HMAC does not need the hash to be free of collisions, RFC 6194, 3.3; and several apps
ignore what an otpauth URI says of another one.)
"""

import base64
import hmac
import io
from datetime import datetime
from urllib.parse import quote

import pyotp
import segno

from service.core.sealed import Randomness
from service.core.secret import Secret

STEP = 30
"""Seconds that a code is the present one."""
WINDOW = 1
"""Steps that a clock may be wrong by, either way (RFC 6238, 5.2)."""
DIGITS = 6
ISSUER = "Keywright"


def make(randomness: Randomness) -> Secret:
    """A new shared secret: 160 bits (RFC 4226, 4, R6), in base 32."""
    return Secret(base64.b32encode(randomness(20)).decode())


def uri(secret: Secret, email: str, place: str) -> Secret:
    """What an authenticator app reads of a QR code: whose secret it is, and where."""
    issuer = f"{ISSUER} ({place})" if place else ISSUER
    label = f"{quote(issuer)}:{quote(email)}"
    return Secret(f"otpauth://totp/{label}?secret={secret.reveal()}&issuer={quote(issuer)}&digits={DIGITS}")


def picture(uri: Secret) -> str:
    """The QR code as an SVG element; black on white, whatever the page looks like."""
    drawn = segno.make(uri.reveal(), error="m").svg_inline(scale=4, light="white", omitsize=True)
    return str(drawn)


def drawing(uri: Secret) -> str:
    """The QR code for a terminal."""
    out = io.StringIO()
    segno.make(uri.reveal(), error="l").terminal(out, compact=True)
    return out.getvalue()


def step_of(secret: Secret, code: str, now: datetime) -> int | None:
    """The time step that a code is of, within the window around `now`; None: it is none of them.

    All of them are compared, in constant time. Whether a code of that step was taken before is for the ledger to say.
    """
    password = pyotp.TOTP(secret.reveal(), digits=DIGITS, interval=STEP)
    present = int(now.timestamp()) // STEP
    found = None
    for step in range(present - WINDOW, present + WINDOW + 1):
        if hmac.compare_digest(password.generate_otp(step).encode(), code.encode(errors="replace")):
            found = step
    return found
