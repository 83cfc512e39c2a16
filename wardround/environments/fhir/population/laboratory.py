"""Laboratory results as Observations and DiagnosticReports, with what is untidy about them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from wardround.environments.fhir.population import shares
from wardround.environments.fhir.population.parts import LABORATORY, Part, analyte_code, parts_of
from wardround.environments.fhir.population.physiology import Scale, axes, findings_of
from wardround.environments.fhir.population.resources import (
    HOUR,
    LOINC,
    Json,
    Record,
    concept,
    instant,
    quantity,
    refer,
    term,
    to,
)
from wardround.environments.fhir.population.tables import Tables

_LAB_REPORT = [term("v2-0074", "LAB", "Laboratory")]
PERFORMER = [to("Organization", "org-laboratory")]
"""Who does the laboratory's tests."""
_ABSENT = term("data-absent-reason", "error", "Error")
_ESTIMATED_FROM = 18.0
"""Age in years from which the glomerular filtration rate is estimated; the formula holds for adults alone."""


class Chemistry:
    """Files laboratory results of one patient."""

    def __init__(self, tables: Tables, record: Record, rng: np.random.Generator, end: int) -> None:
        self._tables, self._record, self._rng, self._end = tables, record, rng, end

    def panel(
        self,
        name: str,
        at: int,
        values: Sequence[float],
        scale: Scale,
        *,
        encounter: Json,
        order: Json | None,
        is_clean: bool = False,
    ) -> Json:
        """File a panel's Observations and the DiagnosticReport that holds them; return the report.

        Args:
            name: Of a panel in analytes.yaml, or of one analyte.
            at: When the sample was taken, in seconds since 1970.
            values: As reported, by column.
            scale: Of the patient at that time.
            encounter: Reference to the Encounter.
            order: The ServiceRequest that this fulfils.
            is_clean: Whether nothing is withdrawn, missing or in another unit.
        """
        panel = self._tables.analytes.panels.get(name)
        names = (name,) if panel is None else panel.analytes
        if scale.age < _ESTIMATED_FROM:
            names = tuple(analyte for analyte in names if analyte != "egfr")
        issued = at + 2400 + int(self._rng.random() * 4800)
        is_out = issued <= self._end and at < self._end - shares.PRELIMINARY_HOURS * HOUR
        results = self._results(names, at, values, scale, encounter, issued if is_out else None, is_clean)
        column = axes().column[names[0]]
        code = parts_of(scale)[column].code if panel is None else _panel_code(self._tables, name)
        report: Json = {
            "status": "final" if is_out else "preliminary",
            "category": _LAB_REPORT,
            "code": code,
            "subject": self._record.subject,
            "encounter": encounter,
            "effectiveDateTime": instant(at),
            "performer": PERFORMER,
        }
        if results:
            report["result"] = results
        else:
            report["status"] = "entered-in-error"
        if is_out:
            report["issued"] = instant(issued)
        if order is not None:
            report["basedOn"] = [refer(order)]
        return self._record.add("DiagnosticReport", report)

    def _results(
        self,
        names: Sequence[str],
        at: int,
        values: Sequence[float],
        scale: Scale,
        encounter: Json,
        issued: int | None,
        is_clean: bool,
    ) -> list[Json]:
        parts = parts_of(scale)
        column = axes().column
        record, taken = self._record, instant(at)
        out = None if issued is None else instant(issued)
        rolls = self._rng.random((2, len(names))).tolist()
        results = []
        for name, roll, unit_roll in zip(names, *rolls, strict=True):
            part = parts[column[name]]
            value = values[column[name]]
            observation: Json = {
                "resourceType": "Observation",
                "id": record.next_id("Observation"),
                "status": "final",
                "category": LABORATORY,
                "code": part.code,
                "subject": record.subject,
                "encounter": encounter,
                "effectiveDateTime": taken,
                "performer": PERFORMER,
                "valueQuantity": quantity(part.reported(value), part.unit),
                "interpretation": part.flag(value),
            }
            if part.reference is not None:
                observation["referenceRange"] = part.reference
            if out is None:
                observation["status"] = "preliminary"
            else:
                observation["issued"] = out
                if roll < _UNTIDY and not (is_clean and roll < _WORST):
                    self._spoil(observation, part, value, roll)
            if unit_roll < shares.OTHER_UNIT and part.behaviour.other is not None and not is_clean:
                _in_other_unit(observation, part, scale)
            record.resources.append(observation)
            if observation["status"] != "entered-in-error":
                results.append({"reference": "Observation/" + observation["id"]})
        return results

    def _spoil(self, observation: Json, part: Part, value: float, roll: float) -> None:
        if roll < shares.ENTERED_IN_ERROR:
            observation["status"] = "entered-in-error"
            low, high = part.analyte.plausible
            wrong = min(max(value * (1.35 + self._rng.random()), low), high)
            digits = part.behaviour.digits
            observation["valueQuantity"] = quantity(part.reported(round(wrong, digits)), part.unit)
            observation["note"] = [{"text": "Entered for the wrong patient."}]
        elif roll < _WORST:
            del observation["valueQuantity"], observation["interpretation"]
            observation["dataAbsentReason"] = _ABSENT
            observation["note"] = [{"text": "Specimen haemolysed; not measured."}]
        elif roll < _WORST + shares.CORRECTED:
            observation["status"] = "corrected"
        elif roll < _WORST + shares.CORRECTED + shares.AMENDED:
            observation["status"] = "amended"
        else:
            observation["status"] = "preliminary"
            del observation["issued"]


_WORST = shares.ENTERED_IN_ERROR + shares.NO_VALUE
_UNTIDY = _WORST + shares.CORRECTED + shares.AMENDED + shares.PRELIMINARY


@lru_cache(maxsize=64)
def _panel_of(name: str, text: str, code: str | None) -> Json:
    return concept(text, LOINC, code)


def _panel_code(tables: Tables, name: str) -> Json:
    panel = tables.analytes.panels[name]
    return _panel_of(name, panel.name, panel.code)


def _in_other_unit(observation: Json, part: Part, scale: Scale) -> None:
    """Report a result in the analyte's other unit, if no finding would read otherwise after rounding."""
    other = part.behaviour.other
    if other is None or "valueQuantity" not in observation:
        return
    rule = part.analyte.units.get(other.unit, 1.0)
    factor, offset = rule if isinstance(rule, tuple) else (rule, 0.0)
    value = observation["valueQuantity"]["value"]
    told = round((value - offset) / factor, other.digits)
    column = axes().column[part.analyte.id]
    if findings_of(scale, {column: told * factor + offset}) != findings_of(scale, {column: value}):
        return
    observation["valueQuantity"] = quantity(told if other.digits else int(told), other.unit, other.ucum)
    if other.loinc is not None:
        observation["code"] = concept(part.analyte.name, LOINC, other.loinc, other.display)
    if part.reference is not None:
        observation["referenceRange"] = [
            {
                end: quantity(round((limit["value"] - offset) / factor, other.digits + 1), other.unit, other.ucum)
                for end, limit in part.reference[0].items()
            }
        ]


def panel_name(tables: Tables, name: str) -> str:
    """Return how a panel, or an analyte that is ordered alone, is called."""
    panel = tables.analytes.panels.get(name)
    return panel.name if panel is not None else axes().analytes[axes().column[name]].name


def panel_concept(tables: Tables, name: str) -> Json:
    """Return the code of a panel, or of an analyte that is ordered alone."""
    if name in tables.analytes.panels:
        return _panel_code(tables, name)
    column = axes().column[name]
    return analyte_code(axes().analytes[column], axes().behaviours[column].loinc, axes().behaviours[column].display)
