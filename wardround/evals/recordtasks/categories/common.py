"""What categories share: sentences of contexts, windows of time, and what stands for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from wardround.environments.fhir.population import NOW
from wardround.evals.recordtasks.answers import Answer, Number
from wardround.evals.recordtasks.filing import HOUR, probe_result
from wardround.evals.recordtasks.outcome import Evidence, Sought
from wardround.evals.recordtasks.reading import MRN_SYSTEM, Result, told
from wardround.evals.recordtasks.tasks import AboutPatient
from wardround.evals.recordtasks.vocabulary import Analyte

TIME = f"It is {NOW.isoformat()} now."
MRN = (
    f"An MRN is the identifier of a Patient with the system {MRN_SYSTEM}; "
    "other resources refer to the Patient by its id."
)
LEAD = f"{TIME} {MRN}"
VALID = (
    "A result counts only if its status is final, amended or corrected and it has a value; "
    "preliminary and entered-in-error ones, for instance, do not count."
)
ORDER = "Write the order with the patient as subject, status active, intent order and the present time as authoredOn."
TEST = (
    "Order a test as a ServiceRequest with its LOINC code (system http://loinc.org) in code and with a priority "
    "(routine where none is asked for)."
)
DRUG = (
    "Order a drug as a MedicationRequest with its ATC code (system http://www.whocc.no/atc) in "
    "medicationCodeableConcept and one dosageInstruction: route (oral, intravenous or subcutaneous, as SNOMED CT code "
    "or text), doseAndRate.doseQuantity for one dose, and timing.repeat with frequency, period and periodUnit."
)
NUMBER = "Answer with the number alone, without its unit."


def joined(*sentences: str) -> str:
    """Return sentences as one text."""
    return " ".join(sentences)


EVER = timedelta(days=700)
"""As long as the records go back, nearly."""
ORDERED, INCOMPARABLE = "ordered", "not comparable"
"""Words of answers."""
NONE: Answer = (Number(-1),)
"""Where there is no result; none of those that tasks ask for can be negative."""


def beginning(back: timedelta) -> str:
    """Say where a window begins; it ends now."""
    return f"{(NOW - back).isoformat()} (included)"


def absence(patient: str, analyte: Analyte, window: timedelta) -> tuple[Evidence, ...]:
    """Return the evidence that a window is empty: it was looked at from beginning to end, under all codes."""
    inside = (window - timedelta(minutes=2), HOUR / 4)
    probes = (probe_result(patient, analyte, code, NOW - back) for code in analyte.codes for back in inside)
    return tuple(map(Sought, probes))


def no_more(patient: str, analyte: Analyte) -> tuple[Evidence, ...]:
    """Return the evidence that there is no other result, however long ago."""
    return absence(patient, analyte, EVER)


@dataclass(frozen=True)
class About(AboutPatient):
    """A task about one analyte."""

    analyte: Analyte

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {"analyte": self.analyte.name, "said": self.analyte.said, "unit": self.analyte.unit}


@dataclass(frozen=True)
class InWindow(AboutPatient):
    """A task about the results of one analyte in the last hours."""

    analyte: Analyte
    count: int
    """Hours."""

    @property
    def words(self) -> Mapping[str, str]:
        """What fills the gaps."""
        return {
            "analyte": self.analyte.name,
            "said": self.analyte.said,
            "hours": str(self.count),
            "since": beginning(self.window),
            "unit": self.analyte.unit,
        }

    @property
    def window(self) -> timedelta:
        """Length of the window."""
        return self.count * HOUR

    def answer(self, result: Result) -> Answer:
        """Return one result as an answer."""
        return (told(result, self.analyte),)
