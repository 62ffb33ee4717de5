"""What a text of a request should look like, in words, by the pattern that it does not match.

Patterns are for programs and stand in `openapi.json`; a person is told a sentence. Never the text itself.
"""

from service.core.names import PATH, SEGMENT

_NAME = "segments of letters, digits, '.', '_' and '-' joined by single '/', none starting with '.' or '-'"
_LINE = "text without control characters, on one line"
_CALLED = "text on one line, without control characters and without blanks around it"
_PRINTED = "letters, digits and signs of ASCII, without blanks"
_FINGERPRINT = "the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons"

FORMS = {
    "-----BEGIN CERTIFICATE-----": "certificates as PEM text, with their lines -----BEGIN CERTIFICATE-----",
    r"^-----BEGIN ": "PEM text, which begins with -----BEGIN",
    r"^([0-9]{1,9}[dhms]?|([0-9]{1,9}[dhms]){1,4})$": "a duration: seconds, or numbers with d, h, m or s, as in 1h30m",
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$": "a time of day from 00:00 to 23:59, with two digits each",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "a day as in 2026-12-24",
    r"^([A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?|[0-9A-Fa-f:.]{2,45})$": (
        "the name or address of one host, without a port or a scheme"
    ),
    r"^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?$": "an address or a network, as in 10.0.0.0/8 or 2001:db8::/32",
    r"^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?(,[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?)*$": (
        "networks with commas between, as in 10.0.0.0/8,2001:db8::/32"
    ),
    r"^(vault|aws-sm|env|file):[^\x00-\x1f\x7f]+$": (
        "a reference: vault:, aws-sm:, env: or file:, and the place there, as in vault:secret/shop#password"
    ),
    r"^[0-9a-f]{0,64}$": "an id: digits and letters from a to f, as lists show them",
    r"^[0-9a-f]{1,64}$": "an id: digits and letters from a to f, as lists show them",
    r"^[0-9a-f]*$": "an id: digits and letters from a to f, as lists show them",
    r"^[0-9]{3} ?[0-9]{3}$": "six digits, as the authenticator app shows them",
    r"^[0-9A-Za-z -]{16,40}$": "a recovery code: sixteen letters and digits, as in 7h2k-9xqf-m3wd-0tzr",
    r"^[A-Za-z0-9-]+$": "letters, digits and '-'",
    r"^[a-z0-9.-]+$": "a domain in small letters, as in example.com",
    r"^[A-Za-z0-9_-]+$": "a text as it was given: letters, digits, '-' and '_'",
    r"^[A-Za-z0-9_+/-]+$": "the name of a time zone, as in Europe/Berlin",
    r"^[A-Za-z0-9_-]*$": "`next` of the page before, as it was given",
    rf"^{SEGMENT}$": "a name: letters, digits, '.', '_' and '-', not starting with '.' or '-'",
    rf"^{PATH}$": f"a name: {_NAME}",
    rf"^({PATH})?$": f"a folder: {_NAME}",
    rf"^{PATH}(,{PATH})*$": f"names with commas between; each is {_NAME}",
    r"^[a-z-]+(\.[a-z]+)?(,[a-z-]+(\.[a-z]+)?)*$": "kinds with commas between, as in rotation.published,variable",
    r"^https?://[!-~]+$": "an address that begins with https:// (or http://), of ASCII without blanks",
    r"^https?://[^\x00-\x20\x7f]+$": "an address that begins with https:// (or http://), without blanks",
    r"^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$": _FINGERPRINT,
    r"^[^\x00-\x1f\x7f]*$": _LINE,
    r"^[^\x00-\x1f\x7f]+$": _LINE,
    r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$": "a rule: text without control characters, but for line ends and tabs",
    r"^[!-?A-~]+@[!-?A-~]+$": "an e-mail address",
    r"^([^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?)?$": _CALLED,
    r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$": _CALLED,
    r"^[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$": "text on one line, without control characters, that begins with no blank",
    rf"^({SEGMENT})?$": "a name, or nothing: letters, digits, '.', '_' and '-', not starting with '.' or '-'",
    r"^[0-9A-Fa-f:.]*$": "an address, as in 10.1.2.3",
    r"^((user:)?[!-?A-~]+@[!-?A-~]+|(group|machine|token):[^\x00-\x1f\x7f]+)?$": (
        "an e-mail address, or user:, group:, machine: or token: and a name"
    ),
    rf"^(everything|people|settings|machine:{PATH}|environment:{SEGMENT}"
    rf"|(variable|folder|connection|policy):{SEGMENT}/{PATH})$": (
        "everything, people, settings, machine:NAME, environment:NAME, or one of variable, folder, connection and "
        "policy with :ENVIRONMENT/NAME"
    ),
    r"^[^\x00]+$": "text without NUL",
    r"^[ -~]+$": "letters, digits, signs and blanks of ASCII",
    r"^[!-~]*$": _PRINTED,
    r"^[!-~]+$": _PRINTED,
}
"""By pattern, what is wanted. A test holds that every pattern of the API is here."""


def wanted(pattern: str) -> str:
    """The sentence for a pattern."""
    return f"wanted is {FORMS.get(pattern, 'another form: see /api/v1/openapi.json')}"
