"""`/metrics`: counts and ages for those who watch; no names."""

import httpx2

from tests.rigs.keywright import Keywright


def _figures(it: Keywright) -> dict[str, float]:
    text = httpx2.get(f"{it.url}/metrics", trust_env=False).text
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_what_is_counted(keywright_service: Keywright) -> None:
    """Requests by method and status, events, connections, rotations by stage."""
    client = keywright_service.client()
    before = _figures(keywright_service)
    client.post("/environments", json={"name": "very-secret-name"}).raise_for_status()
    assert client.get("/environments/absent").status_code == 404
    now = _figures(keywright_service)
    assert now["keywright_events_total"] == before["keywright_events_total"] + 2
    assert now["keywright_ledger_epoch"] == before["keywright_ledger_epoch"] + 1
    assert now['keywright_requests_total{method="POST",status="201"}'] == 1
    assert now['keywright_requests_total{method="GET",status="404"}'] == 1
    assert now['keywright_request_seconds_count{method="POST"}'] == 1
    assert now["keywright_connections"] == now["keywright_connections_overdue"] == 0
    assert now['keywright_rotations_open{stage="draining"}'] == 0
    assert not any("very-secret-name" in name for name in now)


def test_a_made_up_method_makes_no_series(keywright_service: Keywright) -> None:
    """Whoever asks cannot make the series grow."""
    with httpx2.Client(trust_env=False) as client:
        for method in ("PROPFIND", "PURGE", "BREW"):
            client.request(method, f"{keywright_service.url}/healthz")
    series = [name for name in _figures(keywright_service) if name.startswith("keywright_requests_total")]
    assert not any("PURGE" in name for name in series)
    assert sum('method="other"' in name for name in series) == 1
