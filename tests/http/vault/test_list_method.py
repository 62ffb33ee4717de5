"""The method LIST, which the parser does not know: understood where a request begins with it, and nowhere else."""

import socket
from urllib.parse import urlsplit

from tests.rigs.keywright import Keywright
from tests.rigs.listening import PATIENCE, Way

PATH = "secret/metadata/production"


def test_it_lists_on_one_connection_after_another_request(it: Keywright) -> None:
    place = urlsplit(it.url)
    head = f"Host: x\r\nX-Vault-Token: {it.owner}\r\n\r\n"
    with socket.create_connection((str(place.hostname), place.port or 0), timeout=PATIENCE) as connected:
        way = Way(connected)
        for method, path, status in (
            ("LIST", PATH, 200),
            ("GET", "secret/data/production/shop/PASSWORD", 200),
            ("LIST", PATH, 200),
            ("LIST", "secret/data/production/shop", 405),
            ("LINK", PATH, 405),
            ("GET", PATH + "?list=true", 200),
        ):
            way.say(f"{method} /v1/{path} HTTP/1.1\r\n{head}".encode())
            assert way.answer().status == status, (method, path)


def test_its_head_may_come_in_pieces_and_bodies_are_left_alone(it: Keywright) -> None:
    place = urlsplit(it.url)
    with socket.create_connection((str(place.hostname), place.port or 0), timeout=PATIENCE) as connected:
        way = Way(connected)
        for piece in (f"LIST /v1/{PATH} HTTP/1.1\r\nHost", f": x\r\nX-Vault-Token: {it.owner}\r\n", "\r\n"):
            way.say(piece.encode())
        assert way.answer().status == 200
        body = '{"data": {"value": "x", "more": "\\nLIST "}}'
        head = f"POST /v1/secret/data/production/body HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {it.owner}\r\n"
        way.say(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        way.say(body.encode())
        assert way.answer().status == 200


def test_it_is_no_method_of_the_native_door(it: Keywright) -> None:
    place = urlsplit(it.url)
    with socket.create_connection((str(place.hostname), place.port or 0), timeout=PATIENCE) as connected:
        way = Way(connected)
        way.say(f"LIST /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {it.owner}\r\n\r\n".encode())
        assert way.answer().status == 405
