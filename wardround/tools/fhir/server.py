"""A FHIR server as a source of whole records, for code that is not asynchronous."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wardround.core.blocking import run_sync
from wardround.tools.fhir.client import FhirClient

if TYPE_CHECKING:
    import httpx


class RemoteServer:
    """A server at a base URL, such as `http://127.0.0.1:8080/fhir/R4`; each call has a connection of its own.

    It is what `Case.from_fhir` asks.
    """

    def __init__(
        self, base_url: str, *, token: str | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Set up access.

        Args:
            base_url: Of the server.
            token: Bearer token, if the server wants one.
            transport: For a server in this process, such as `Sandbox.transport()`.
        """
        self._base_url, self._token, self._transport = base_url, token, transport

    def everything(self, patient: str, /) -> dict[str, Any]:
        """Return one Bundle of all that belongs to a patient such as `Patient/123`.

        Raises:
            FhirRequestError: The server refused.
        """

        async def asked() -> dict[str, Any]:
            async with FhirClient(self._base_url, token=self._token, transport=self._transport) as client:
                return await client.everything(patient)

        return run_sync(asked)
