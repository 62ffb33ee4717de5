"""Second factors, over HTTP: added, listed, shown to sign in and to step up, taken away."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pyotp
import pytest

from service.core.access import PEOPLE, Grant, Kind, Level
from service.people import totp
from tests.rigs import persons
from tests.rigs.authenticator import Authenticator
from tests.rigs.keywright import Keywright, running_keywright

ORIGIN = "https://keywright.test"
BEGAN = datetime(2026, 12, 24, 18, 0, tzinfo=UTC)


class Time:
    """A clock that stands until it is moved: a code is then of the step that the test means."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def time() -> Time:
    return Time()


@pytest.fixture(scope="module")
def it(time: Time) -> Iterator[Keywright]:
    with running_keywright(now=time, url=ORIGIN) as served:
        yield served


@pytest.fixture(autouse=True)
def _as_it_comes(it: Keywright) -> None:
    persons.decide(it.service)


_number = iter(range(1000))


@pytest.fixture
def anna(it: Keywright) -> str:
    return persons.add(it.service, f"anna{next(_number)}@keywright.test")


def code(secret: str, at: datetime, steps: int = 0) -> str:
    return pyotp.TOTP(secret).generate_otp(int(at.timestamp()) // 30 + steps)


def client(it: Keywright, user: str, **how: Any) -> httpx2.Client:
    return it.client(persons.signed_in(it.service, user, **how))


def session_of(answer: httpx2.Response) -> str:
    """The text of the session that a browser was given."""
    assert answer.status_code == 200, answer.text
    assert answer.json()["session"], answer.text
    return answer.headers["set-cookie"].partition("__Host-keywright=")[2].partition(";")[0]


def added(asking: httpx2.Client, time: Time, name: str = "phone") -> dict[str, Any]:
    begun = asking.post("/factors/totp", json={"name": name}).json()
    answer = asking.post(f"/factors/totp/{begun['id']}/confirmation", json={"code": code(begun["secret"], time.now)})
    assert answer.status_code == 201, answer.text
    return answer.json() | {"secret": begun["secret"]}


def passkey(asking: httpx2.Client, key: Authenticator, name: str = "key") -> httpx2.Response:
    options = asking.post("/factors/passkeys/challenge").json()["public_key"]
    return asking.post("/factors/passkeys", json={"name": name, "passkey": key.create(options)})


# -- authenticator apps


def test_an_app_counts_once_a_first_code_of_it_was_shown(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    begun = asking.post("/factors/totp", json={"name": "phone"}).json()
    assert asking.get("/factors").json()["items"] == []
    answer = asking.post(f"/factors/totp/{begun['id']}/confirmation", json={"code": code(begun["secret"], time.now)})
    assert answer.status_code == 201
    shown = asking.get("/factors").json()
    assert [(each["kind"], each["name"]) for each in shown["items"]] == [("totp", "phone")]
    assert shown["recovery_codes_left"] == 10 == len(set(answer.json()["recovery_codes"]))


def test_the_secret_is_shown_only_when_it_is_made(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    begun = asking.post("/factors/totp", json={"name": "phone"}).json()
    said = parse_qs(urlsplit(begun["uri"]).query)
    assert said["secret"] == [begun["secret"]]
    assert begun["svg"].startswith("<svg")
    answer = asking.post(f"/factors/totp/{begun['id']}/confirmation", json={"code": code(begun["secret"], time.now)})
    for later in (answer, asking.get("/factors"), it.client().get("/events")):
        assert begun["secret"] not in later.text


def test_a_wrong_first_code_adds_nothing_and_the_right_one_still_does(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    begun = asking.post("/factors/totp", json={"name": "phone"}).json()
    place = f"/factors/totp/{begun['id']}/confirmation"
    wrong = code(begun["secret"], time.now, 5)
    assert asking.post(place, json={"code": wrong}).status_code == 403
    assert persons.held(it.service, anna) == []
    assert asking.post(place, json={"code": code(begun["secret"], time.now)}).status_code == 201


def test_a_secret_waits_ten_minutes_for_its_first_code(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    begun = asking.post("/factors/totp", json={"name": "phone"}).json()
    time.passes(601)
    shown = {"code": code(begun["secret"], time.now)}
    assert asking.post(f"/factors/totp/{begun['id']}/confirmation", json=shown).status_code == 409


def test_the_code_that_confirmed_it_is_used_up_by_that(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    secret = added(asking, time)["secret"]
    assert asking.post("/session/factor", json={"code": code(secret, time.now)}).status_code == 403


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_is_right_within_a_step_of_now(it: Keywright, anna: str, time: Time, steps: int) -> None:
    secret = persons.app(it.service, anna)
    answer = client(it, anna).post("/session/factor", json={"code": code(secret, time.now, steps)})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("steps", [-100, -2, 2, 100])
def test_a_code_of_another_time_is_wrong(it: Keywright, anna: str, time: Time, steps: int) -> None:
    secret = persons.app(it.service, anna)
    answer = client(it, anna).post("/session/factor", json={"code": code(secret, time.now, steps)})
    assert answer.status_code == 403


def test_a_code_is_good_once_and_so_are_those_before_it(it: Keywright, anna: str, time: Time) -> None:
    secret = persons.app(it.service, anna)
    asking = client(it, anna)
    assert asking.post("/session/factor", json={"code": code(secret, time.now)}).status_code == 200
    assert asking.post("/session/factor", json={"code": code(secret, time.now)}).status_code == 403
    assert asking.post("/session/factor", json={"code": code(secret, time.now, -1)}).status_code == 403
    assert asking.post("/session/factor", json={"code": code(secret, time.now, 1)}).status_code == 200


def test_a_code_of_somebody_else_is_wrong(it: Keywright, anna: str, time: Time) -> None:
    persons.app(it.service, anna)
    other = persons.app(it.service, persons.add(it.service, f"ben{next(_number)}@keywright.test"))
    assert client(it, anna).post("/session/factor", json={"code": code(other, time.now)}).status_code == 403


# -- recovery codes


def test_a_recovery_code_is_good_once_however_it_is_written(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    first, second, *_ = added(asking, time)["recovery_codes"]
    assert asking.post("/session/factor", json={"recovery_code": first}).status_code == 200
    assert asking.post("/session/factor", json={"recovery_code": first}).status_code == 403
    assert asking.post("/session/factor", json={"recovery_code": second.upper().replace("-", " ")}).status_code == 200
    assert asking.get("/factors").json()["recovery_codes_left"] == 8


def test_new_recovery_codes_make_the_former_ones_useless(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    former = added(asking, time)["recovery_codes"][0]
    made = asking.post("/recovery-codes").json()["recovery_codes"]
    assert asking.post("/session/factor", json={"recovery_code": former}).status_code == 403
    assert asking.post("/session/factor", json={"recovery_code": made[0]}).status_code == 200


def test_who_has_no_factor_gets_no_recovery_codes(it: Keywright, anna: str) -> None:
    assert client(it, anna, factor=timedelta()).post("/recovery-codes").status_code == 409


def test_recovery_codes_are_kept_as_hashes(it: Keywright, anna: str, time: Time) -> None:
    made = added(client(it, anna), time)["recovery_codes"]
    kept = b"".join(path.read_bytes() for path in it.data.iterdir() if path.is_file())
    for each in made:
        assert each.encode() not in kept
        assert each.replace("-", "").encode() not in kept


# -- waiting after wrong ones


def test_who_is_wrong_again_and_again_has_to_wait(it: Keywright, anna: str, time: Time) -> None:
    secret = persons.app(it.service, anna)
    asking = client(it, anna)
    answers = [asking.post("/session/factor", json={"code": "000000"}).status_code for _ in range(6)]
    assert answers[0] == 403
    assert answers[-1] == 429
    assert asking.post("/session/factor", json={"code": code(secret, time.now)}).status_code == 429
    time.passes(1000)
    assert asking.post("/session/factor", json={"code": code(secret, time.now)}).status_code == 200


# -- passkeys


def test_a_passkey_is_added_and_shown(it: Keywright, anna: str) -> None:
    asking, key = client(it, anna), Authenticator(ORIGIN)
    assert passkey(asking, key).status_code == 201
    options = asking.post("/session/factor/challenge", json={}).json()["public_key"]
    assert options["userVerification"] == "required"
    assert asking.post("/session/factor", json={"passkey": key.get(options)}).status_code == 200


def test_a_passkey_signs_in_with_nothing_beside_it(it: Keywright, anna: str) -> None:
    key = Authenticator(ORIGIN)
    passkey(client(it, anna), key)
    nobody = it.nobody()
    options = nobody.post("/session/passkey/challenge").json()["public_key"]
    answer = nobody.post("/session/passkey", json={"passkey": key.get(options)})
    assert it.client(session_of(answer)).get("/me").json()["kind"] == "person"


def test_without_local_sign_in_only_emergencies_sign_in_with_a_passkey(it: Keywright, anna: str) -> None:
    rescuer = persons.add(it.service, f"rescuer{next(_number)}@keywright.test", emergency=True)
    keys = {user: Authenticator(ORIGIN) for user in (anna, rescuer)}
    for user, key in keys.items():
        passkey(client(it, user), key)
    persons.decide(it.service, local_sign_in=False)
    options = it.nobody().post("/session/passkey/challenge").json()["public_key"]
    answers = [it.nobody().post("/session/passkey", json={"passkey": key.get(options)}) for key in keys.values()]
    assert [answer.status_code for answer in answers] == [401, 200]


def bent(key: Authenticator, what: str) -> None:
    match what:
        case "another origin":
            key.origin = "https://keywright.test.evil.example"
        case "another relying party":
            key.rp_id = "evil.example"
        case "nobody verified":
            key.verified = False
        case "a count that goes back":
            key.count -= 2
        case "a count that stands":
            key.count -= 1


@pytest.mark.parametrize(
    "what",
    ["another origin", "another relying party", "nobody verified", "a count that goes back", "a count that stands"],
)
def test_an_answer_is_refused_of(it: Keywright, anna: str, what: str) -> None:
    asking, key = client(it, anna), Authenticator(ORIGIN, count=5)
    passkey(asking, key)
    options = asking.post("/session/factor/challenge", json={}).json()["public_key"]
    assert asking.post("/session/factor", json={"passkey": key.get(options)}).status_code == 200
    bent(key, what)
    options = asking.post("/session/factor/challenge", json={}).json()["public_key"]
    assert asking.post("/session/factor", json={"passkey": key.get(options)}).status_code == 403
    options = it.nobody().post("/session/passkey/challenge").json()["public_key"]
    bent(key, what if what.startswith("a count") else "")
    assert it.nobody().post("/session/passkey", json={"passkey": key.get(options)}).status_code == 401


@pytest.mark.parametrize("what", ["another origin", "another relying party", "nobody verified"])
def test_a_passkey_is_not_added_of(it: Keywright, anna: str, what: str) -> None:
    key = Authenticator(ORIGIN)
    bent(key, what)
    assert passkey(client(it, anna), key).status_code == 403
    assert persons.held(it.service, anna) == []


def test_an_authenticator_that_does_not_count_is_fine_until_it_counts(it: Keywright, anna: str) -> None:
    asking, key = client(it, anna), Authenticator(ORIGIN, counts=False)
    passkey(asking, key)

    def shows() -> int:
        options = asking.post("/session/factor/challenge", json={}).json()["public_key"]
        return asking.post("/session/factor", json={"passkey": key.get(options)}).status_code

    assert [shows(), shows()] == [200, 200]
    key.count = 7
    assert shows() == 200
    key.count = 0
    assert shows() == 403


def test_a_challenge_is_taken_once(it: Keywright, anna: str) -> None:
    asking, key = client(it, anna), Authenticator(ORIGIN)
    passkey(asking, key)
    options = asking.post("/session/factor/challenge", json={}).json()["public_key"]
    assert asking.post("/session/factor", json={"passkey": key.get(options)}).status_code == 200
    assert asking.post("/session/factor", json={"passkey": key.get(options)}).status_code == 403


def test_a_challenge_is_of_use_for_what_it_was_made_for_only(it: Keywright, anna: str) -> None:
    asking, key = client(it, anna), Authenticator(ORIGIN)
    passkey(asking, key)
    of_sign_in = it.nobody().post("/session/passkey/challenge").json()["public_key"]
    of_another_session = client(it, anna).post("/session/factor/challenge", json={}).json()["public_key"]
    made_up = of_sign_in | {"challenge": "A" * 75}
    for options in (of_sign_in, of_another_session, made_up):
        assert asking.post("/session/factor", json={"passkey": key.get(options)}).status_code == 403


def test_a_challenge_is_of_use_for_ten_minutes(it: Keywright, anna: str, time: Time) -> None:
    asking, key = client(it, anna), Authenticator(ORIGIN)
    passkey(asking, key)
    options = asking.post("/session/factor/challenge", json={}).json()["public_key"]
    time.passes(601)
    assert asking.post("/session/factor", json={"passkey": key.get(options)}).status_code == 403


def test_a_passkey_of_somebody_else_is_wrong(it: Keywright, anna: str) -> None:
    mine, other = Authenticator(ORIGIN), Authenticator(ORIGIN)
    asking = client(it, anna)
    passkey(asking, mine)
    passkey(client(it, persons.add(it.service, f"ben{next(_number)}@keywright.test")), other)
    options = asking.post("/session/factor/challenge", json={}).json()["public_key"]
    assert asking.post("/session/factor", json={"passkey": other.get(options)}).status_code == 403


def test_a_passkey_is_of_one_user(it: Keywright, anna: str) -> None:
    key = Authenticator(ORIGIN)
    passkey(client(it, anna), key)
    ben = client(it, persons.add(it.service, f"ben{next(_number)}@keywright.test"))
    assert passkey(ben, key).status_code == 409


@pytest.mark.parametrize(
    "answer", [{}, {"id": 5}, {"response": {}}, {"id": "AA", "response": {"clientDataJSON": "!"}}, {"response": []}]
)
def test_what_no_authenticator_answers_is_told_so(it: Keywright, anna: str, answer: dict[str, Any]) -> None:
    persons.app(it.service, anna)
    said = client(it, anna).post("/session/factor", json={"passkey": answer})
    assert (said.status_code, said.json()["field"]) == (422, "passkey")


# -- signing in


def test_who_has_a_factor_shows_it_to_sign_in(it: Keywright, anna: str, time: Time) -> None:
    secret = persons.app(it.service, anna)
    waits = persons.waiting(it.service, anna)
    nobody = it.nobody()
    assert nobody.post("/session/factor", json={"pending": waits, "code": "000000"}).status_code == 401
    answer = nobody.post("/session/factor", json={"pending": waits, "code": code(secret, time.now)})
    assert it.client(session_of(answer)).get("/me").json()["kind"] == "person"
    again = nobody.post("/session/factor", json={"pending": waits, "code": code(secret, time.now, 1)})
    assert again.status_code == 401


def test_who_has_none_signs_in_without_unless_one_is_required(it: Keywright, anna: str) -> None:
    assert persons.waiting(it.service, anna) is None
    persons.decide(it.service, second_factor_required=True)
    assert persons.waiting(it.service, anna) is not None


def test_a_group_may_require_one_of_those_in_groups_in_it(it: Keywright, anna: str) -> None:
    outer = persons.group(it.service, f"outer{next(_number)}", second_factor=True)
    persons.group(it.service, f"inner{next(_number)}", anna, within=outer)
    assert persons.waiting(it.service, anna) is not None


def test_who_needs_one_is_led_through_enrolment(it: Keywright, anna: str, time: Time) -> None:
    persons.decide(it.service, second_factor_required=True)
    waits, nobody = persons.waiting(it.service, anna), it.nobody()
    begun = nobody.post("/session/factor/totp", json={"pending": waits, "name": "phone"}).json()
    first = {"id": begun["id"], "code": code(begun["secret"], time.now)}
    answer = nobody.post("/session/factor", json={"pending": waits, "first_code": first})
    assert len(answer.json()["recovery_codes"]) == 10
    assert it.client(session_of(answer)).get("/factors").json()["items"][0]["name"] == "phone"


def test_or_with_a_passkey(it: Keywright, anna: str) -> None:
    persons.decide(it.service, second_factor_required=True)
    waits, nobody, key = persons.waiting(it.service, anna), it.nobody(), Authenticator(ORIGIN)
    options = nobody.post("/session/factor/passkey", json={"pending": waits}).json()["public_key"]
    first = {"name": "key", "passkey": key.create(options)}
    session_of(nobody.post("/session/factor", json={"pending": waits, "first_passkey": first}))
    waits = persons.waiting(it.service, anna)
    options = nobody.post("/session/factor/challenge", json={"pending": waits}).json()["public_key"]
    session_of(nobody.post("/session/factor", json={"pending": waits, "passkey": key.get(options)}))


def test_who_has_one_adds_none_before_it_was_shown(it: Keywright, anna: str) -> None:
    persons.app(it.service, anna)
    waits = persons.waiting(it.service, anna)
    answer = it.nobody().post("/session/factor/totp", json={"pending": waits, "name": "another"})
    assert answer.status_code == 403


def test_a_sign_in_waits_ten_minutes(it: Keywright, anna: str, time: Time) -> None:
    secret = persons.app(it.service, anna)
    waits = persons.waiting(it.service, anna)
    time.passes(601)
    answer = it.nobody().post("/session/factor", json={"pending": waits, "code": code(secret, time.now)})
    assert answer.status_code == 401


def test_without_either_nobody_shows_anything(it: Keywright) -> None:
    assert it.nobody().post("/session/factor", json={"code": "123456"}).status_code == 401
    assert it.nobody().post("/session/factor", json={"pending": "made-up", "code": "123456"}).status_code == 401


# -- taking away


def test_taking_one_away_needs_a_fresh_factor(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    factor = added(asking, time)
    time.passes(901)
    answer = asking.delete(f"/factors/{factor['id']}")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:keywright:problem:factor-needed")
    asking.post("/session/factor", json={"code": code(factor["secret"], time.now)})
    assert asking.delete(f"/factors/{factor['id']}").status_code == 204
    shown = asking.get("/factors").json()
    assert (shown["items"], shown["recovery_codes_left"]) == ([], 0)


def test_the_last_one_stays_while_one_is_required(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    first = added(asking, time)
    persons.decide(it.service, second_factor_required=True)
    assert asking.delete(f"/factors/{first['id']}").status_code == 409
    time.passes(60)
    added(asking, time, "another")
    assert asking.delete(f"/factors/{first['id']}").status_code == 204


def test_one_of_somebody_else_is_not_there(it: Keywright, anna: str, time: Time) -> None:
    factor = added(client(it, anna), time)
    ben = client(it, persons.add(it.service, f"ben{next(_number)}@keywright.test"), factor=timedelta())
    known, unknown = ben.delete(f"/factors/{factor['id']}"), ben.delete("/factors/0123456789abcdef")
    assert known.status_code == unknown.status_code == 404
    assert ben.get(f"/factors?user={anna}").status_code == 404


def test_who_owns_people_takes_those_away_of_who_holds_no_more(it: Keywright, anna: str, time: Time) -> None:
    factor = added(client(it, anna), time)
    clerk = persons.add(it.service, f"clerk{next(_number)}@keywright.test", Grant(Level.OWN, Kind.PEOPLE))
    asking = client(it, clerk, factor=timedelta())
    assert [each["id"] for each in asking.get(f"/factors?user={anna}").json()["items"]] == [factor["id"]]
    assert asking.delete(f"/factors/{factor['id']}").status_code == 204
    chief = persons.add(it.service, f"chief{next(_number)}@keywright.test", persons.OWNER)
    time.passes(60)
    factor = added(client(it, chief), time)
    assert asking.delete(f"/factors/{factor['id']}").status_code == 403


def test_who_may_only_see_people_takes_none_away(it: Keywright, anna: str, time: Time) -> None:
    factor = added(client(it, anna), time)
    seeing = persons.add(it.service, f"seeing{next(_number)}@keywright.test", Grant(Level.USE, PEOPLE.kind))
    assert client(it, seeing, factor=timedelta()).delete(f"/factors/{factor['id']}").status_code == 403


def test_what_was_shown_of_one_that_is_taken_away_counts_no_more(it: Keywright, anna: str, time: Time) -> None:
    persons.decide(it.service)
    asking = client(it, anna)
    factor = added(asking, time)
    assert it.client().delete(f"/factors/{factor['id']}").status_code == 204
    answer = asking.post("/recovery-codes")
    assert answer.json()["type"] == "urn:keywright:problem:factor-needed"


def test_a_first_factor_is_not_added_in_a_session_that_was_opened_long_ago(it: Keywright, anna: str) -> None:
    asking = client(it, anna, ago=timedelta(minutes=16))
    answer = asking.post("/factors/totp", json={"name": "phone"})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:keywright:problem:factor-needed")
    assert "sign in again" in answer.json()["detail"]


def test_another_factor_is_added_by_who_showed_the_first_one_lately(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    persons.app(it.service, anna)
    answer = asking.post("/factors/totp", json={"name": "another"})
    assert answer.json()["type"] == "urn:keywright:problem:factor-needed"


def test_ten_are_the_most(it: Keywright, anna: str) -> None:
    for _ in range(10):
        persons.app(it.service, anna)
    answer = client(it, anna, factor=timedelta()).post("/factors/totp", json={"name": "another"})
    assert answer.status_code == 409


def test_machines_have_none(it: Keywright) -> None:
    owner = it.client()
    assert owner.get("/factors").status_code == 403
    assert owner.post("/factors/totp", json={"name": "phone"}).status_code == 403
    assert owner.post("/session/factor", json={"code": "123456"}).status_code == 403


def test_every_change_is_an_event(it: Keywright, anna: str, time: Time) -> None:
    asking = client(it, anna)
    factor = added(asking, time)
    asking.post("/session/factor", json={"code": "000000"})
    asking.post("/recovery-codes")
    asking.delete(f"/factors/{factor['id']}")
    events = it.client().get(f"/events?actor={anna}&limit=100").json()["items"]
    told = [(event["action"], event["outcome"]) for event in events]
    for wanted in (
        ("factor.begin", "allowed"),
        ("factor.add", "allowed"),
        ("factor.show", "refused"),
        ("recovery_codes.make", "allowed"),
        ("factor.remove", "allowed"),
    ):
        assert wanted in told
    removed = next(event for event in events if event["action"] == "factor.remove")
    assert removed["detail"]["left"] == 0


def test_the_window_is_that_of_the_rfc() -> None:
    """RFC 6238, appendix B, for SHA-1, of which the last six digits are shown."""
    secret = totp.Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    for at, said in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037")):
        assert totp.step_of(secret, said, datetime.fromtimestamp(at, UTC)) == at // 30
