"""The headers that ask for an approval: documented where an operation is guarded, and nowhere else.

What an operation is, the log says: each of the matrix is done by an owner of everything, and its events name actions.
Which actions wait for somebody else, `core/approval.py` says.
"""

from service.core.approval import GUARDED, REVEALS
from tests.access.asking import ask
from tests.access.callers import Callers, bearer, of_all
from tests.access.conftest import World
from tests.access.needs import NATIVE, declared, key_of

HEADERS = {"Keywright-Approval", "Keywright-Reason"}
APPLIES = "POST /approvals/{approval_id}/apply"
"""It does what was agreed to already: nobody is asked for that once more."""

BY_OTHER_BODIES = {"variable.annotate", "version.undelete"}
"""Of `PUT …/variables/{name}` and `POST …/versions`, which are tried with one body."""


def test_an_approval_is_asked_for_where_the_document_says_so(world: World, callers: Callers) -> None:
    document = world.it.nobody().get("/openapi.json").json()["paths"]
    waits = {
        key_of(method, path)
        for path, item in document.items()
        for method, operation in item.items()
        if {each["name"] for each in operation.get("parameters", ())} >= HEADERS
    }
    owner, done = world.it.client(), dict[str, set[str]]()
    native = {key_of(method, path) for path, item in document.items() if path.startswith(NATIVE) for method in item}
    for need in declared().values():
        if need.operation not in native:
            continue  # at other doors nobody asks
        thing = world.things(need.thing)
        person = callers.person(of_all("own"))
        ask(world.nobody, need, thing, bearer(person.session), world.things)
        events = owner.get("/events", params={"actor": person.user.id, "limit": 100}).json()["items"]
        done.setdefault(need.operation, set()).update(each["action"] for each in events)
    guarded = {operation for operation, actions in done.items() if actions & (GUARDED.keys() | REVEALS)} - {APPLIES}
    assert waits - guarded == set(), "documented, and nobody is asked"
    assert guarded - waits == set(), "it may have to wait, and the document does not say how to ask"
    seen = set().union(*done.values()) | BY_OTHER_BODIES
    assert (GUARDED.keys() | REVEALS) - seen == set(), "what is guarded was not tried: declare it in needs/*.toml"
