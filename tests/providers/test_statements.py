"""Statements of an issuer: what is believed, what is not, and how often its keys are asked for."""

import base64
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, OKPKey, RSAKey

from providers.proofs import asking
from providers.proofs.gate import PATIENCE, RESTS, Places
from providers.proofs.jwks import AGAIN, KEPT, IssuerKeys
from providers.proofs.statement import SignedStatements
from service.core.errors import Unavailable
from service.core.proof import ALGORITHMS, Signer, Unproven
from service.core.secret import Secret
from tests.rigs.issuer import AUDIENCE, PRESENT, SUBJECT, Issuer, pem, rsa, running_issuer, signed
from tests.rigs.ports import free_port, silent_port
from tests.rigs.stub import Answer, stub

NOW = datetime.fromtimestamp(PRESENT, UTC)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as it:
        yield it


def signer_of(issuer: Issuer, **other: Any) -> Signer:
    return Signer(issuer.url, ca=issuer.ca, **other)


class Looking:
    """A verifier of one process, with a clock of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.keys = IssuerKeys(Places(), self.clock)
        self._statements = SignedStatements(self.keys)

    def at(self, jwt: str, signer: Signer, *audiences: str, now: datetime = NOW) -> str:
        """The subject, or why not."""
        try:
            stated = self._statements.verified(Secret(jwt), signer, audiences or (AUDIENCE,), now)
        except Unproven as wrong:
            return wrong.reason
        return str(stated["sub"])


@pytest.fixture
def looking() -> Looking:
    return Looking()


def test_what_it_signed_is_believed(issuer: Issuer, looking: Looking) -> None:
    assert looking.at(issuer.signed(issuer.claims(PRESENT)), signer_of(issuer)) == SUBJECT
    several = issuer.claims(PRESENT, aud=["https://other.test", AUDIENCE])
    assert looking.at(issuer.signed(several), signer_of(issuer)) == SUBJECT
    assert looking.at(issuer.signed(issuer.claims(PRESENT), x5t="abc", unheard="of"), signer_of(issuer)) == SUBJECT
    assert issuer.fetched == 1


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://else.test"}, "claim iss"),
        ({"iss": None}, "claim iss"),
        ({"aud": "https://else.test"}, "claim aud"),
        ({"aud": []}, "claim aud"),
        ({"aud": None}, "claim aud"),
        ({"exp": PRESENT - 31}, "expired"),
        ({"exp": None}, "claim exp"),
        ({"exp": "2999-01-01"}, "claim exp"),
        ({"exp": float("nan")}, "claim exp"),
        ({"exp": True}, "claim exp"),
        ({"nbf": PRESENT + 31}, "claim nbf"),
        ({"iat": PRESENT + 31}, "claim iat"),
        ({"sub": 7}, "claim sub"),
    ],
)
def test_what_it_states_must_be_meant_for_us_and_for_now(
    issuer: Issuer, looking: Looking, claims: dict[str, Any], reason: str
) -> None:
    assert looking.at(issuer.signed(issuer.claims(PRESENT, **claims)), signer_of(issuer)) == reason


def test_clocks_may_differ_by_the_skew(issuer: Issuer, looking: Looking) -> None:
    edge = issuer.signed(issuer.claims(PRESENT, exp=PRESENT - 29, nbf=PRESENT + 30, iat=PRESENT + 30))
    assert looking.at(edge, signer_of(issuer)) == SUBJECT
    late = issuer.signed(issuer.claims(PRESENT - 300, exp=PRESENT))
    assert looking.at(late, signer_of(issuer)) == SUBJECT
    assert looking.at(late, signer_of(issuer, skew=timedelta())) == "expired"


def test_who_signs_with_the_public_key_signs_nothing(issuer: Issuer, looking: Looking) -> None:
    """The attack of algorithms that are confused (RFC 8725, 2.1): a public key is no secret to make an HMAC with."""
    claims, public = issuer.claims(PRESENT), pem(issuer.keys[0])
    for secret in (public, public.strip(), str(issuer.keys[0].as_dict(private=False)["n"])):
        shown = f"{_header('HS256')}.{issuer.signed(claims).split('.')[1]}"
        forged = f"{shown}.{_encoded(hmac.digest(secret.encode(), shown.encode(), 'sha256'))}"
        assert looking.at(forged, signer_of(issuer)) == "algorithm"
        assert looking.at(forged, Signer(issuer.url, (public,))) == "algorithm"
    head, body, _ = issuer.signed(claims).split(".")
    for algorithm in ("none", "None", "HS512", "RS1", "", None):
        unsigned = signed({"alg": "RS256", "kid": "first"}, claims, issuer.keys[0]).split(".")
        bare = _header(algorithm)
        for text in (f"{bare}.{body}.", f"{bare}.{body}.{unsigned[2]}"):
            assert looking.at(text, signer_of(issuer)) in ("algorithm", "no JWT")
    assert looking.at(f"{head}.{body}.", signer_of(issuer)) == "signature"


def _header(algorithm: str | None) -> str:
    header = {"typ": "JWT", "kid": "first"} | ({} if algorithm is None else {"alg": algorithm})
    return _encoded(json.dumps(header).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_no_algorithm_with_a_shared_key_can_be_allowed() -> None:
    assert not [each for each in ALGORITHMS if each.startswith("HS") or each == "none"]


def test_keys_of_others_sign_nothing(issuer: Issuer, looking: Looking) -> None:
    claims = issuer.claims(PRESENT)
    assert looking.at(issuer.signed(claims, rsa("first")), signer_of(issuer)) == "signature"
    foreign = rsa("foreign")
    own = issuer.signed(claims, foreign, jwk=foreign.as_dict(private=False), jku="https://evil.test/keys")
    assert looking.at(own, signer_of(issuer)) == "signature"
    good = issuer.signed(claims)
    head, body, signature = good.split(".")
    assert looking.at(f"{head}.{body[:-4]}AAAA.{signature}", signer_of(issuer)) == "signature"


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "....", "ä.ö.ü", "x" * 9000, "e30.e30.e30", "bnVsbA.e30.AA"])
def test_what_is_none(issuer: Issuer, looking: Looking, text: str) -> None:
    assert looking.at(text, signer_of(issuer)) in ("no JWT", "algorithm")
    assert issuer.fetched == 0


@pytest.mark.parametrize("claims", [[], "text", 7, None])
def test_claims_are_an_object(issuer: Issuer, looking: Looking, claims: Any) -> None:
    assert looking.at(signed({"alg": "RS256", "kid": "first"}, claims, issuer.keys[0]), signer_of(issuer)) == (
        "no claims"
    )


@pytest.mark.filterwarnings("ignore:Key size")
def test_a_key_is_used_for_what_it_is_made_for(issuer: Issuer, looking: Looking) -> None:
    claims = issuer.claims(PRESENT)
    encrypts = rsa("encrypts")
    short = generate_private_key(65537, 1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    weak, curve = RSAKey.import_key(short, {"kid": "weak"}), ECKey.generate_key("P-256", {"kid": "curve"})
    issuer.keys += [weak, curve]
    issuer.answers["/keys"] = Answer(
        200,
        {
            "keys": [
                *(key.as_dict(private=False) for key in issuer.keys),
                encrypts.as_dict(private=False) | {"use": "enc"},
                {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
                {"kty": "RSA", "kid": "broken"},
                7,
            ]
        },
    )
    every = signer_of(issuer, algorithms=ALGORITHMS)
    for key in (encrypts, weak):
        assert looking.at(issuer.signed(claims, key), every) == "signature"
    assert looking.at(issuer.signed(claims, curve, alg="ES256"), every) == SUBJECT
    assert looking.at(issuer.signed(claims, curve, alg="ES256"), signer_of(issuer, algorithms=("RS256",))) == (
        "algorithm"
    )
    for kid in ("shared", "broken"):
        assert looking.at(issuer.signed(claims, issuer.keys[0], kid=kid), every) == "signature"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_with_keys_of_a_proof(algorithm: str, looking: Looking) -> None:
    curves = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
    key: Any = (
        ECKey.generate_key(curves[algorithm], {"kid": "k"})
        if algorithm in curves
        else OKPKey.generate_key("Ed25519", {"kid": "k"})
        if algorithm == "Ed25519"
        else rsa("k")
    )
    issuer = Issuer("urn:issuer", keys=[key])
    alone = Signer(issuer.url, (pem(rsa("other")), pem(key)), algorithms=(algorithm,))
    assert looking.at(issuer.signed(issuer.claims(PRESENT), alg=algorithm), alone) == SUBJECT
    assert looking.at(issuer.signed(issuer.claims(PRESENT), alg=algorithm), replace(alone, keys=alone.keys[:1])) == (
        "signature"
    )


def test_a_new_key_is_found_once_a_minute_at_most(issuer: Issuer, looking: Looking) -> None:
    claims, signer = issuer.claims(PRESENT), signer_of(issuer)
    assert looking.at(issuer.signed(claims), signer) == SUBJECT
    issuer.keys.append(rsa("second"))
    new = issuer.signed(claims)
    assert looking.at(new, signer) == "signature"
    looking.clock.now += AGAIN - 1
    for _ in range(20):
        assert looking.at(new, signer) == "signature"
    assert issuer.fetched == 1
    looking.clock.now += 1
    assert looking.at(new, signer) == SUBJECT
    for number in range(20):
        assert looking.at(issuer.signed(claims, kid=f"made-up-{number}"), signer) == "signature"
    assert issuer.fetched == 2
    del issuer.keys[0]
    looking.clock.now += KEPT + 1
    assert looking.at(issuer.signed(claims, rsa("first")), signer) == "signature"
    assert looking.at(new, signer) == SUBJECT


def test_the_keys_are_got_once_for_many_who_come_at_once(issuer: Issuer, looking: Looking) -> None:
    good, signer = issuer.signed(issuer.claims(PRESENT)), signer_of(issuer)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: looking.at(good, signer), range(16))) == {SUBJECT}
    assert issuer.fetched == 1


def test_who_needs_no_new_key_does_not_wait_for_who_does(issuer: Issuer, looking: Looking) -> None:
    good, signer = issuer.signed(issuer.claims(PRESENT)), signer_of(issuer)
    assert looking.at(good, signer) == SUBJECT
    looking.clock.now += AGAIN
    gate = next(iter(looking.keys._held.values())).gate
    with gate.passed():
        assert looking.at(good, signer) == SUBJECT
        looking.clock.now += PATIENCE
        with pytest.raises(Unavailable):
            looking.at(issuer.signed(issuer.claims(PRESENT), kid="made-up"), signer)


WELL_KNOWN = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (WELL_KNOWN, Answer(302, headers={"Location": "/keys"})),
        (WELL_KNOWN, Answer(200, {"issuer": "https://else.test", "jwks_uri": "https://else.test/keys"})),
        (WELL_KNOWN, Answer(200, {"issuer": "SELF", "jwks_uri": "http://else.test/keys"})),
        (WELL_KNOWN, Answer(200, {"issuer": "SELF"})),
        (WELL_KNOWN, Answer(200, b"<html>")),
        (WELL_KNOWN, Answer(200, [])),
        (WELL_KNOWN, Answer(403)),
        ("/keys", Answer(500)),
        ("/keys", Answer(404)),
        ("/keys", Answer(200, {"keys": {}})),
        ("/keys", Answer(200, b"[" * 100_000)),
        ("/keys", Answer(200, b"x" * (asking.LARGEST + 1))),
    ],
)
def test_an_issuer_that_cannot_be_asked_proves_nothing_either_way(
    issuer: Issuer, looking: Looking, path: str, answer: Answer
) -> None:
    if isinstance(answer.body, dict) and answer.body.get("issuer") == "SELF":
        answer = replace(answer, body=answer.body | {"issuer": issuer.url})
    issuer.answers[path] = answer
    good, signer = issuer.signed(issuer.claims(PRESENT)), signer_of(issuer)
    for _ in range(3):
        with pytest.raises(Unavailable):
            looking.at(good, signer)
    assert len([request for request in issuer.asked if request.path == path]) == 1  # the others heard of it
    issuer.answers.clear()
    looking.clock.now += RESTS
    assert looking.at(good, signer) == SUBJECT


def test_an_issuer_that_is_not_who_it_says(issuer: Issuer, looking: Looking) -> None:
    good = issuer.signed(issuer.claims(PRESENT))
    for ca in ("", trustme.CA().cert_pem.bytes().decode(), "no certificate"):
        with pytest.raises(Unavailable):
            looking.at(good, Signer(issuer.url, ca=ca))
    assert issuer.asked == []


def test_an_issuer_that_is_not_there(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "TOTAL", 0.5)
    there = Issuer("http://127.0.0.1:1")
    good = there.signed(there.claims(PRESENT))
    with silent_port() as silent:
        for port in (free_port(), silent):
            with pytest.raises(Unavailable):
                looking.at(good, Signer(f"http://127.0.0.1:{port}"))


def test_what_an_issuer_is_called_in_a_failure_is_its_name_and_no_more(looking: Looking) -> None:
    there = Issuer("http://127.0.0.1:1")
    good = there.signed(there.claims(PRESENT))
    with pytest.raises(Unavailable) as failed:
        looking.at(good, Signer(f"http://127.0.0.1:{free_port()}"))
    assert good[:20] not in str(failed.value)


def test_only_the_issuer_that_was_named_is_asked_and_in_confidence(issuer: Issuer, looking: Looking) -> None:
    """Everything would be found, if one went along."""
    good, signer = issuer.signed(issuer.claims(PRESENT)), signer_of(issuer)
    right = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
    issuer.answers["/elsewhere"] = Answer(200, right)
    for answer, said in [
        (Answer(302, headers={"Location": "/elsewhere"}), "status 302"),
        (Answer(200, right | {"issuer": "https://else.test"}), "another name"),
        (Answer(200, right | {"jwks_uri": "http://else.test/keys"}), "jwks_uri must be"),
        (Answer(200, right | {"jwks_uri": "http://localhost:1/keys"}), "this machine itself"),
        (Answer(200, right | {"jwks_uri": "HTTP://127.0.0.1:1/keys"}), "this machine itself"),
    ]:
        issuer.answers[WELL_KNOWN] = answer
        with pytest.raises(Unavailable, match=said):
            looking.at(good, signer)
        looking.clock.now += RESTS
    assert issuer.fetched == 0


def test_an_issuer_of_this_machine_may_be_asked_without_tls(looking: Looking) -> None:
    local = Issuer()
    with stub(local.answer) as (local.url, local.asked):
        assert looking.at(local.signed(local.claims(PRESENT)), Signer(local.url)) == SUBJECT
