"""Microsoft Presidio as a further redactor, in the extra `redaction`.

Presidio finds names with a spaCy model, which is no package of its own on PyPI: without one only its recognizers of
forms work (card, bank and licence numbers, IBAN, social security, NHS, telephone, IP and MAC addresses). Given one, it
also finds people whom no record names, and takes clinical words for names: measure before use, with
`benchmarks/redaction.py --model`.

Its recognizer of e-mail addresses is left out, since it asks a server on the internet for a list; `PatternRedactor`
finds these. Nothing is downloaded: a model that is not installed is an error.
"""

from __future__ import annotations

from typing import Any

from wardround.core.errors import UsageError
from wardround.core.extras import require
from wardround.trace.redaction.classes import Identifier
from wardround.trace.redaction.edits import Edit

CLASSES: dict[str, Identifier] = {
    "PERSON": Identifier.NAME,
    "LOCATION": Identifier.PLACE,
    "PHONE_NUMBER": Identifier.PHONE,
    "US_SSN": Identifier.SOCIAL_SECURITY,
    "US_ITIN": Identifier.SOCIAL_SECURITY,
    "UK_NHS": Identifier.RECORD_NUMBER,
    "CREDIT_CARD": Identifier.ACCOUNT,
    "IBAN_CODE": Identifier.ACCOUNT,
    "US_BANK_NUMBER": Identifier.ACCOUNT,
    "US_DRIVER_LICENSE": Identifier.LICENCE,
    "US_PASSPORT": Identifier.LICENCE,
    "MEDICAL_LICENSE": Identifier.LICENCE,
    "IP_ADDRESS": Identifier.IP_ADDRESS,
    "MAC_ADDRESS": Identifier.DEVICE,
}
"""Entities of Presidio that are taken, with their class. Dates are moved by the record and not taken out; URLs of code
systems are no identifiers; nationalities and organisations are none of the 18 classes."""
LEAST_SCORE = 0.4
"""Presidio's own score of a telephone number by form; its guesses at any number of six digits lie far below."""


class PresidioRedactor:
    """Finds what Presidio finds."""

    def __init__(self, model: str | None = None, *, least_score: float = LEAST_SCORE) -> None:
        """Set Presidio up; takes seconds.

        Args:
            model: An installed spaCy model for English, such as `en_core_web_sm`; nothing for forms alone.
            least_score: What Presidio is less sure of is left.

        Raises:
            MissingExtra: Presidio is not installed.
            UsageError: The model is not installed.
        """
        self._analyzer = _analyzer(model)
        self._least_score = least_score

    def edits(self, text: str) -> list[Edit]:
        """Return what Presidio finds of the classes in `CLASSES`."""
        found = self._analyzer.analyze(text, language="en", entities=list(CLASSES), score_threshold=self._least_score)
        kinds = ((r.start, r.end, CLASSES[r.entity_type]) for r in found)
        return [Edit(start, end, kind, f"[{kind.name}]") for start, end, kind in kinds]


def _analyzer(model: str | None) -> Any:
    presidio = require("presidio_analyzer", extra="redaction")
    engines = require("presidio_analyzer.nlp_engine", extra="redaction")
    engine = engines.SpacyNlpEngine(models=[{"lang_code": "en", "model_name": model or "blank"}])
    engine.nlp = {"en": _pipeline(model)}  # its own load() would download a model
    registry = presidio.RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    registry.remove_recognizer("EmailRecognizer")
    if model is None:
        registry.remove_recognizer("SpacyRecognizer")
    return presidio.AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])


def _pipeline(model: str | None) -> Any:
    spacy = require("spacy", extra="redaction")
    if model is None:
        return spacy.blank("en")
    try:
        return spacy.load(model)
    except OSError as error:
        raise UsageError(
            f"the spaCy model {model!r} is not installed; install it from a file, or give no model for forms alone"
        ) from error
