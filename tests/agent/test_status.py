"""What is told of an agent by what it wrote last."""

import pytest
from keywright.agent import identity
from keywright.agent.status import aged, healthy, lines


@pytest.mark.parametrize(("error", "well"), [(None, True), ("away", False)])
def test_a_promise_that_is_over_is_told_where_the_server_does_not_answer(error: str | None, well: bool) -> None:
    subject = {"kind": "credential", "name": "shop/db", "heard": 90, "sealed": False, "good_until": 95, "error": error}
    written = {"written": 99, **identity.ours(), "server": "https://a", "environment": "b", "templates": []}
    status = aged(written | {"subjects": [subject]}, 100)
    assert (healthy(status), "past its promise" not in lines(status)[1]) == (well, well)
