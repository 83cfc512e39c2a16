"""A FHIR server that holds one Bundle."""

from __future__ import annotations

from typing import Any


class BundleServer:
    """Answers `$everything` for the patients of a Bundle, and remembers what it was asked."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self._bundle = bundle
        self.asked: list[str] = []

    def everything(self, patient: str, /) -> dict[str, Any]:
        """Return the Bundle if the patient is in it, and an empty one if not."""
        self.asked.append(patient)
        known = {
            f"Patient/{entry['resource'].get('id')}"
            for entry in self._bundle.get("entry", [])
            if entry["resource"].get("resourceType") == "Patient"
        }
        if patient in known:
            return self._bundle
        return {"resourceType": "Bundle", "type": "searchset", "entry": []}
