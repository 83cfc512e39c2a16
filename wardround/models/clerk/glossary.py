"""The codes that a task gives for the words it uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wardround.models.clerk.wording import MARK, STOP_WORDS, Wording, telling, words

SYSTEMS: Mapping[str, str] = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "ndc": "http://hl7.org/fhir/sid/ndc",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "cpt": "http://www.ama-assn.org/go/cpt",
    "icd": "http://hl7.org/fhir/sid/icd-10-cm",
    "cvx": "http://hl7.org/fhir/sid/cvx",
    "atc": "http://www.whocc.no/atc",
}
"""Code systems by how tasks call them, and their URIs in FHIR R4 (Using Codes in Resources, 4.3)."""
LOCAL, FLOWSHEET = "local", "flowsheet"
"""What has no system of its own: a code of this hospital's laboratory, a row of its flowsheet."""
_GENERIC_WORDS = """
    it this that one drug medication medicine tablet pill capsule infusion injection solution product supplement
    repletion treatment referral consult consultation study imaging scan exam procedure vaccine ordering row flowsheet
"""
GENERIC = STOP_WORDS | frozenset(_GENERIC_WORDS.split())
"""Words that name a thing only by what kind it is."""
DRUGS = ("ndc", "rxnorm", "atc")
SERVICES = ("loinc", "snomed", "cpt")

_SYSTEM = r"LOINC|SNOMED(?:[ -]?CT)?|NDC|RxNorm|CPT|ICD-?10(?:-CM)?|CVX|ATC|flowsheet|lab(?:oratory)?|local"
_KIND = rf"(?:(?P<system>{_SYSTEM})(?:\s+(?:code|id|identifier|row|number)s?)?|(?:observation\s+)?code)"
_CODE = rf"(?P<code>{MARK}|(?-i:[A-Z0-9])[\w-]*(?:\.[\w-]+)*)"
_BARE = r"(?-i:[A-Z0-9])[\w-]*\d[\w-]*"
_NAME = r"[^⟦⟧.:;?!\n()]{1,80}?"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        # The code for magnesium is "MG"; LOINC of the order: 4548-4
        rf"\b{_KIND}\s*(?:for|of)\s+(?P<name>{_NAME}(?:\([^)]*\))?)\s*(?:\b(?:is|are|reads|equals|being)\b\s*:?|[:=])\s*{_CODE}",
        # SNOMED code: 306181000000106
        rf"\b{_KIND}\s*(?P<name>)(?:\bis\b|[:=])\s*{_CODE}",
        # Potassium is coded as "K"; heart rate is charted under flowsheet row HR
        rf"(?:^|[.;\n,]|\b(?:and|while)\b)\s*(?P<name>{_NAME})\s+(?:has|uses|is|are)\s+(?:the\s+|its\s+|their\s+)?"
        rf"(?:(?:coded|recorded|filed|charted|stored|kept|listed)\s+(?:as|under|by|with)\s+)?(?:the\s+)?(?:{_KIND}\s*)?{_CODE}",
        # "K" stands for potassium
        rf"(?:\b{_KIND}\s+)?{_CODE}\s+(?:stands for|means|denotes|is the (?:\w+ )?code (?:for|"
        rf"of))\s+(?P<name>{_NAME})(?=$|[.,;\n])",
        # potassium (LOINC 2823-3 or 6298-4, wanted in mmol/L)
        rf"(?P<name>[\w' /-]{{2,60}}?(?:\([^()]{{1,30}}\))?)\s*[(\[]\s*{_KIND}\s*[:#]?\s*{_CODE}(?P<more>(?:\s*(?:,|or|and|/)\s*"
        rf"{_BARE})*)[^()]*[)\]]",
        # A pressure is an Observation with LOINC 85354-9
        rf"(?:^|[.;\n,])\s*(?P<name>{_NAME})\s+is\s+(?:an?|the|"
        rf"its)\s+[\w ]{{3,30}}?\s+with\s+(?:the\s+)?{_KIND}\s*{_CODE}",
        # a request with the SNOMED CT code 3457005
        rf"\b(?:with|by|under)\s+(?:the\s+)?(?P<system>{_SYSTEM})(?:\s+code)?\s*(?P<name>){_CODE}",
    )
)


@dataclass(frozen=True)
class Code:
    """A code with the words that a task gives it for."""

    system: str
    """A key of `SYSTEMS`, `local` or `flowsheet`."""
    name: str
    """As written; empty where the task names nothing."""
    code: str
    others: tuple[str, ...] = ()
    """Codes that mean the same."""

    @property
    def uri(self) -> str | None:
        """URI of its system; nothing for one of the hospital's own."""
        return SYSTEMS.get(self.system)

    @property
    def token(self) -> str:
        """It as a search parameter takes it: codes without systems, since servers may file them under any."""
        return ",".join((self.code, *self.others))


def codes_of(wording: Wording) -> tuple[Code, ...]:
    """Return the codes of a task in the order in which they stand.

    >>> codes_of(Wording.of('The code for CBG is "GLU". The LOINC code for ordering it: 2339-0.'))[1]
    Code(system='loinc', name='ordering it', code='2339-0', others=())
    """
    found: dict[int, Code] = {}
    for form in _FORMS:
        for match in form.finditer(wording.text):
            at = match.start("code")
            code = _code(match, wording)
            if code is not None and at not in found:
                found[at] = code
    for match in _PLURAL.finditer(wording.text):
        found |= _listed(match, wording)
    return tuple(found[at] for at in sorted(found))


def _code(match: re.Match[str], wording: Wording) -> Code | None:
    written = match["code"]
    is_quoted = written.startswith("⟦")
    code = wording.restored(written).strip() if is_quoted else written.rstrip(".-")
    said = (match["system"] or "").lower()
    system = next((key for key in SYSTEMS if said.startswith(key)), FLOWSHEET if said == FLOWSHEET else LOCAL)
    names_kind = re.search(rf"{_SYSTEM}|\bcode", match.group(), re.IGNORECASE) is not None
    if not names_kind or not code or len(code) > 64 or (not is_quoted and not _looks_coded(code, system)):
        return None
    name = " ".join((match["name"] or "").split()).strip(" ,'")
    if name.lower().startswith(("codes ", "the codes ")):
        return None
    is_inline = "more" in match.re.groupindex
    others = tuple(re.findall(_BARE, match["more"])) if is_inline else ()
    return Code(system, _LEAD.split(name)[-1].strip() if is_inline else _ARTICLE.sub("", name), code, others)


_ARTICLE = re.compile(r"^(?:and|the|an?)\s+", re.IGNORECASE)
_LEAD = re.compile(
    r"\b(?:is|are|latest|last|most recent|the|an?|new|order|prescribe|give|by|for|consider|of|with|and|record|"
    r"mmol|mEq|mg|g)\s+",
    re.IGNORECASE,
)
"""What stands before the name of something whose code follows it."""


_PLURAL = re.compile(rf"\bcodes\s+(?:for|of)\s+(?P<names>[^⟦⟧.:;?!\n]{{1,120}}?)\s+are\s*:?\s+(?P<codes>{MARK}[^.\n]*)")


def _listed(match: re.Match[str], wording: Wording) -> dict[int, Code]:
    """Codes that are listed in the order of their names; none where there are not as many."""
    names = [name for name in re.split(r",\s*(?:and\s+)?|\s+and\s+", match["names"]) if name]
    codes = [wording.restored(mark) for mark in re.findall(MARK, match["codes"])]
    if len(names) != len(codes):
        return {}
    return {
        match.start("codes") + n: Code(LOCAL, name, code)
        for n, (name, code) in enumerate(zip(names, codes, strict=True))
    }


def _looks_coded(code: str, system: str) -> bool:
    """Whether a bare word can be a code: it has a digit, or is written in capitals."""
    if system in SYSTEMS and system not in ("icd", "atc"):
        return code[0].isdigit()
    return any(c.isdigit() for c in code) or code.isupper()


def fitting(codes: Iterable[Code], said: str, systems: Sequence[str]) -> list[Code]:
    """Return the codes of certain systems that fit words best, those of earlier systems first.

    Codes whose name says no more than what kind of thing they are for come in where no other fits.
    """
    every = [code for code in codes if code.system in systems]
    shares = [(_share(code, said), code) for code in every]
    best = max((share for share, _ in shares), default=0.0)
    chosen = [code for share, code in shares if share == best > 0] or [c for c in every if not _telling(c)]
    return sorted(chosen, key=lambda code: systems.index(code.system))


def _share(code: Code, said: str) -> float:
    """How much of a code's name stands in the words; the code itself names it too."""
    if {code.code.lower(), *(other.lower() for other in code.others)} & {*words(said)}:
        return 1.0
    name = _telling(code)
    return len(name & telling(said)) / len(name) if name else 0.0


def _telling(code: Code) -> frozenset[str]:
    return telling(code.name) - GENERIC
