"""Statements about a whole: a study, an organ or a patient called normal; and findings claimed on a normal one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from wardround.core.claim import ClaimType, Severity
from wardround.core.finding import Assertion
from wardround.core.source import Source
from wardround.knowledge.expressions import Expression
from wardround.knowledge.text import sentences, tokens
from wardround.tools.hallucination.checks import Check, contradicted, supported, unaddressed
from wardround.tools.hallucination.evidence import Evidence
from wardround.tools.hallucination.statements import Reading, Said
from wardround.tools.hallucination.vocabulary import vocabulary

_NORMAL = Expression(
    r"\b(?:(?:is|are|was|were|looks?|appears?|remains?|entirely|completely|otherwise)\s+(?:\w+ly\s+)?"
    r"(?:normal|unremarkable|clear|intact|healthy|within normal limits)"
    r"|^(?:normal|unremarkable|clear)\b|(?:normal|unremarkable) (?:study|examination|exam|radiograph|scan|film"
    r"|appearance\w*)"
    r"|no (?:acute |significant |focal |other |obvious )*(?:abnormalit\w+|cardiopulmonary (?:disease|process)"
    r"|pathology|intracranial (?:abnormality|pathology|process)))\b",
    re.IGNORECASE,
)
_NOT_NORMAL = Expression(r"\b(?:not|abnormal|n't|rather than)\b", re.IGNORECASE)
_GENERAL = frozenset(
    [
        "patient",
        "study",
        "exam",
        "examination",
        "scan",
        "film",
        "imaging",
        "he",
        "she",
        "radiograph",
        "report",
        "everything",
        "lungs",
    ]
)
_ORGAN_OF = (
    (
        re.compile(r"cxr_|pneumonia|consolidation|pneumothorax|atelectasis|pulmonary|lung|pleural|nodule|infiltrate"),
        "lung",
    ),
    (re.compile(r"ct_head|stroke|midline|hemorrhage|haemorrhage|subdural|infarct$"), "brain"),
    (re.compile(r"cardiomegaly|pericardial|echo_|heart|aortic_stenosis|mitral"), "heart"),
    (re.compile(r"hydronephrosis|renal|kidney"), "kidney"),
    (re.compile(r"gallstones|cholecyst|us_gallbladder"), "gallbladder"),
    (re.compile(r"appendicitis|diverticulitis|colitis"), "colon"),
    (re.compile(r"hepat|liver|cirrhosis"), "liver"),
    (re.compile(r"pancrea"), "pancreas"),
)
_MODALITY_OF = (
    (re.compile(r"^(?:st_|t_wave|.*_ecg|atrial_f|qt_|av_block|peaked_t|new_lbbb|pr_dep)"), "electrocardiography"),
    (re.compile(r"^cxr_|^xr_"), "radiograph"),
    (re.compile(r"^ct"), "computed tomography"),
    (re.compile(r"^mri_"), "magnetic resonance"),
    (re.compile(r"^us_"), "ultrasound"),
    (re.compile(r"^echo_"), "echocardiography"),
)


def _target(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return organs and modalities that a statement is about."""
    found = [place.target.partition("|") for place in vocabulary().attributes.find(tokens(text))]
    organs = frozenset(vocabulary().organ[value] for name, _, value in found if name == "site")
    if re.search(r"\bchest\b", text, re.IGNORECASE):
        organs |= {"lung"}
    if re.search(r"\bhead\b", text, re.IGNORECASE):
        organs |= {"brain"}
    return organs, frozenset(value for name, _, value in found if name == "modality")


def says_normal(text: str) -> bool:
    """Whether a sentence calls a study, an organ or a patient normal as a whole."""
    return _NORMAL.search(text) is not None and _NOT_NORMAL.search(text) is None


def overall(text: str, reading: Reading, evidence: Evidence) -> list[Check]:
    """Judge a claim that calls something normal as a whole; nothing where the claim does not."""
    if not says_normal(text) or any(s.finding.assertion is Assertion.PRESENT for s in reading.said):
        return []
    organs, modalities = _target(text)
    words = {t.raw.lower() for t in tokens(text)}
    type_, span = ClaimType.GLOBAL_STATUS, (0, len(text))
    if not organs and not modalities and not words & _GENERAL:
        return []
    abnormal = [
        (said, entry.source)
        for entry in evidence.about
        for said in entry.reading.said
        if said.finding.assertion is Assertion.PRESENT
        and said.code.partition(":")[0] not in ("drug", "class", "allergy", "treatment", "procedure")
        and _is_of(said, organs, modalities, entry.source)
    ]
    if abnormal:
        names = ", ".join(sorted({s.finding.name for s, _ in abnormal})[:3])
        return [
            contradicted(Severity.CATASTROPHIC, "overall", f"the evidence has {names}", _ids(abnormal), type_, span)
        ]
    normal = [
        s.id
        for s, of, by in evidence.kept("normal", _normal_places)
        if (not organs or organs & of) and (not modalities or modalities & by)
    ]
    if normal:
        return [supported("overall", "called normal there too", normal, type_, span)]
    return [unaddressed("overall", "no evidence calls it normal or not", type_, span)]


def presence_on_normal(said: Said, evidence: Evidence) -> Check | None:
    """A finding claimed where the evidence calls the organ or the study normal is made up on a normal one."""
    if said.finding.assertion is not Assertion.PRESENT:
        return None
    organs, modalities = organs_of(said), modalities_of(said)
    for source, of, by in evidence.kept("normal", _normal_places):
        if (of and organs & of) or (not of and by and modalities & by):
            words = f"{said.finding.name} claimed on what the evidence calls normal"
            return contradicted(
                Severity.CATASTROPHIC, "overall", words, [source.id], ClaimType.PRESENCE, said.finding.span
            )
    return None


def _normal_places(evidence: Evidence) -> list[tuple[Source, frozenset[str], frozenset[str]]]:
    found = []
    for entry in evidence.about:
        if not _NORMAL.search(entry.clean.text):
            continue
        for sentence in sentences(entry.clean.text):
            if says_normal(sentence.text):
                found.append((entry.source, *_target(sentence.text)))
    return found


def organs_of(said: Said) -> frozenset[str]:
    """Return the organs that a thing lies in, by what is said of it and by its name."""
    organs = frozenset(vocabulary().organ[site] for site in said.values("site"))
    return organs | _organs_named(said.code)


def modalities_of(said: Said) -> frozenset[str]:
    """Return how a thing is seen, by its name."""
    return said.values("modality") | _modalities_named(said.code)


@cache
def _organs_named(code: str) -> frozenset[str]:
    return frozenset(organ for rule, organ in _ORGAN_OF if rule.search(code))


@cache
def _modalities_named(code: str) -> frozenset[str]:
    return frozenset(modality for rule, modality in _MODALITY_OF if rule.search(code))


def _is_of(said: Said, organs: frozenset[str], modalities: frozenset[str], source: Source) -> bool:
    if organs and not organs & organs_of(said):
        return False
    if modalities and not organs:
        return bool(modalities & (modalities_of(said) | _target(source.text)[1]))
    return True


def _ids(found: Sequence[tuple[Said, Source]]) -> list[str]:
    return [source.id for _, source in found]
