"""What tasks speak of: analytes, drugs, tests and problems with their codes, and how texts name them.

Codes are those that the synthetic records bear: LOINC, ATC, SNOMED CT, UCUM. Reference ranges are printed on added
results as laboratories do; they are common adult ranges, rounded, our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Analyte:
    """Something that is measured."""

    topic: str
    """Short name, equal for all its codes."""
    name: str
    """As texts say it."""
    codes: tuple[str, ...]
    """LOINC; additions bear the first."""
    unit: str
    """UCUM; answers are in it."""
    digits: int
    """Decimal places that it is reported with."""
    low: float
    high: float
    factors: tuple[tuple[str, float], ...] = ()
    """Other units in the records, each with what a value in it is multiplied by to be in `unit`."""
    spellings: tuple[str, ...] = ()
    """Other ways to write `unit`."""

    def factor(self, unit: str) -> float | None:
        """Return what a value in a unit is multiplied by; None for a unit that is not known here."""
        if unit == self.unit or unit in self.spellings:
            return 1.0
        return dict(self.factors).get(unit)

    @property
    def units(self) -> frozenset[str]:
        """What may stand behind a number in `unit`, in lower case."""
        return frozenset(u.casefold() for u in (self.unit, *self.spellings))

    @property
    def said(self) -> str:
        """Name, codes and units, for a context."""
        codes = " or ".join(self.codes)
        other = "".join(f"; 1 {unit} = {factor:g} {self.unit}" for unit, factor in self.factors)
        return f"{self.name} (LOINC {codes}, wanted in {self.unit}{other})"


SODIUM = Analyte("sodium", "serum sodium", ("2951-2",), "mmol/L", 0, 135, 145, (("mEq/L", 1.0),))
POTASSIUM = Analyte("potassium", "serum potassium", ("2823-3",), "mmol/L", 1, 3.5, 5.3, (("mEq/L", 1.0),))
CALCIUM = Analyte("calcium", "serum calcium", ("2000-8", "17861-6"), "mmol/L", 2, 2.1, 2.6, (("mg/dL", 0.2495),))
MAGNESIUM = Analyte("magnesium", "serum magnesium", ("2601-3", "19123-9"), "mmol/L", 2, 0.7, 1.05, (("mg/dL", 0.4114),))
PHOSPHATE = Analyte("phosphate", "serum phosphate", ("14879-1", "2777-1"), "mmol/L", 2, 0.8, 1.5, (("mg/dL", 0.3229),))
HAEMOGLOBIN = Analyte("haemoglobin", "haemoglobin", ("718-7",), "g/dL", 1, 12.0, 16.5, (("g/L", 0.1),))
PLATELETS = Analyte("platelets", "platelet count", ("777-3",), "10*9/L", 0, 150, 400, (), ("10^9/L", "x10^9/L", "G/L"))
CRP = Analyte("crp", "C-reactive protein", ("1988-5",), "mg/L", 0, 0, 10, (("mg/dL", 10.0),))
ALBUMIN = Analyte("albumin", "serum albumin", ("1751-7",), "g/L", 0, 35, 50, (("g/dL", 10.0),))
CAPILLARY_GLUCOSE = Analyte("capillary glucose", "capillary glucose", ("14743-9",), "mmol/L", 1, 3.9, 7.8)
GLUCOSE = Analyte("glucose", "plasma glucose", ("14749-6", "2345-7"), "mmol/L", 1, 3.9, 7.8, (("mg/dL", 0.0555),))
CREATININE = Analyte(
    "creatinine", "serum creatinine", ("14682-9", "2160-0"), "umol/L", 0, 45, 110, (("mg/dL", 88.42),), ("µmol/L",)
)
EGFR = Analyte(
    "egfr", "estimated glomerular filtration rate (eGFR)", ("98979-8",), "mL/min/{1.73_m2}", 0, 60, 120, (),
    ("mL/min/1.73 m2", "mL/min/1.73m2", "mL/min"),
)  # fmt: skip
LACTATE = Analyte("lactate", "blood lactate", ("2524-7",), "mmol/L", 1, 0.5, 2.0)
HBA1C = Analyte("hba1c", "haemoglobin A1c", ("4548-4",), "%", 1, 4.0, 5.6)
TSH = Analyte("tsh", "thyroid stimulating hormone", ("3016-3",), "m[IU]/L", 1, 0.4, 4.0, (), ("mIU/L", "mU/L"))
CHOLESTEROL = Analyte(
    "cholesterol", "total cholesterol", ("14647-2", "2093-3"), "mmol/L", 1, 3.0, 5.2, (("mg/dL", 0.02586),)
)
FERRITIN = Analyte("ferritin", "ferritin", ("2276-4",), "ug/L", 0, 20, 300, (), ("µg/L", "ng/mL"))
NT_PROBNP = Analyte("nt-probnp", "NT-proBNP", ("33762-6",), "pg/mL", 0, 0, 300, (), ("ng/L",))
TEMPERATURE = Analyte("temperature", "body temperature", ("8310-5",), "Cel", 1, 36.0, 37.9, (), ("°C", "C"))
WEIGHT = Analyte("weight", "body weight", ("29463-7",), "kg", 1, 40, 120)

SYSTOLIC, DIASTOLIC = "8480-6", "8462-4"
PRESSURE = "85354-9"
"""LOINC codes of a blood pressure and its components."""


@dataclass(frozen=True)
class Drug:
    """A medicine that is ordered by mouth or otherwise, with a usual adult dose."""

    name: str
    atc: str
    dose: float
    unit: str
    """`mg`, `g` or `mmol`."""
    per_day: int
    route: str = "oral"
    """A key of `ROUTES`."""

    @property
    def said(self) -> str:
        """Name within a sentence."""
        return self.name.lower()


ROUTES = {
    "oral": ("26643006", "Oral route"),
    "intravenous": ("47625008", "Intravenous route"),
    "subcutaneous": ("34206005", "Subcutaneous route"),
}
"""SNOMED CT codes and displays of the routes."""


@dataclass(frozen=True)
class Orderable:
    """A test that can be ordered."""

    name: str
    code: str
    """LOINC."""

    @property
    def said(self) -> str:
        """With its article."""
        return f"{'an' if self.name[0] in 'aeioI' else 'a'} {self.name}"


CBC = Orderable("complete blood count", "58410-2")
BMP = Orderable("basic metabolic panel", "51990-0")
LIPIDS = Orderable("lipid panel", "24331-1")
LIVER = Orderable("hepatic function panel", "24325-3")
ECHO = Orderable("echocardiogram", "42148-7")
CHEST = Orderable("chest X-ray in two views", "36643-5")
PROTEIN_RATIO = Orderable("urine protein to creatinine ratio", "2890-2")
TSH_LEVEL = Orderable("TSH level", "3016-3")
INR = Orderable("INR", "6301-6")
FREE_T4 = Orderable("free thyroxine", "14920-3")


def orderable(analyte: Analyte) -> Orderable:
    """Return the order of a single analyte."""
    return Orderable(analyte.name, analyte.codes[0])
