"""Presidio as a further redactor; it works without a model, without the internet, and says so when one is missing."""

import socket

import pytest

pytest.importorskip("presidio_analyzer")

from wardround.core.errors import UsageError
from wardround.trace.redaction import StructuredRedactor, redact_text
from wardround.trace.redaction.presidio import PresidioRedactor


@pytest.fixture(scope="module")
def presidio() -> PresidioRedactor:
    return PresidioRedactor()


def test_forms_are_found_without_a_model_and_without_a_connection(
    presidio: PresidioRedactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    text = "card 4111 1111 1111 1111, SSN 219-09-9999, 10.0.0.1, mail a.b@clinic.com, Na 138 mmol/L, platelets 250000"
    done = redact_text(text, [presidio]).value
    assert (
        done
        == "card [ACCOUNT], SSN [SOCIAL_SECURITY], [IP_ADDRESS], mail a.b@clinic.com, Na 138 mmol/L, platelets 250000"
    )


def test_what_the_record_knows_goes_before_what_presidio_finds(presidio: PresidioRedactor) -> None:
    doe = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"value": "219-09-9999"}],
        "name": [{"family": "Doeson"}],
    }
    done = StructuredRedactor([doe], key=b"k" * 32, also=(presidio,)).text("Doeson, 219-09-9999 and 219-09-9998").value
    assert done.startswith("[PATIENT], x")
    assert done.endswith(" and [SOCIAL_SECURITY]")


def test_a_model_that_is_not_installed_is_named_and_not_downloaded() -> None:
    with pytest.raises(UsageError, match=r"en_nowhere_lg.*not installed"):
        PresidioRedactor("en_nowhere_lg")
