"""What the forms about second factors send, as the flows take it."""

import re

from service.core.errors import Invalid
from service.http.body import document
from service.http.pages.frame import Fields
from service.people.passkeys import Answer
from service.people.showing import Code, Passkey, RecoveryCode, Shown

_CODE = re.compile(r"[0-9]{3} ?[0-9]{3}")
LONGEST_CODE = 40


def answer_in(fields: Fields) -> Answer | None:
    """What an authenticator answered; None where none was asked. Raises Invalid."""
    if not fields.get("passkey"):
        return None
    said = document(fields["passkey"].encode(errors="surrogatepass"))
    if not isinstance(said, dict):
        raise Invalid("passkey must be what the browser's authenticator answered", field="passkey")
    return said


def code_in(fields: Fields) -> str:
    """A code of an authenticator app."""
    return fields.get("code", "").strip().replace(" ", "")


def shown_in(fields: Fields) -> Shown:
    """What is shown: six digits are of an authenticator app, anything else is a recovery code. Raises Invalid."""
    answer = answer_in(fields)
    if answer is not None:
        return Passkey(answer)
    typed = fields.get("code", "").strip()
    if not typed or len(typed) > LONGEST_CODE:
        raise Invalid("code is needed: six digits, or a recovery code", field="code")
    return Code(code_in(fields)) if _CODE.fullmatch(typed) else RecoveryCode(typed)
