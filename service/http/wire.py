"""HTTP/1.1 as it is read from the wire: what uvicorn refuses or turns away by itself is a problem like any other."""

import secrets

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.http import problems
from service.http.envelope import HEADERS


class Wire(H11Protocol):
    """uvicorn's protocol over h11, with answers of ours to requests that are none."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the name is uvicorn's
        """Answer what could not be read, and close."""
        request_id = secrets.token_hex(8)
        self.logger.info("refused: %s", request_id)
        detail = "this is not HTTP, or its head is larger than 16 KiB"
        body, headers = problems.bare(400, "not-http", "Not HTTP", detail, request_id)
        headers += [*HEADERS, (b"x-request-id", request_id.encode())]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
