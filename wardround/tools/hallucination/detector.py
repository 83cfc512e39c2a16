"""The embedded hallucination detector: claim against evidence, by rules, without weights.

Reference-free: it needs no ground truth, only the evidence that a claim can rest on. Each thing that a claim
states is compared with what the evidence says of the same thing, and the worst of all checks is the verdict.
What it cannot read it calls not addressed, with the reason; overlap of words never supports anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wardround.core.claim import Claim, ClaimKind, ClaimType, Severity, Verdict, VerdictLabel
from wardround.core.finding import Assertion
from wardround.core.source import Source, SourceKind
from wardround.knowledge.clinician import KnowledgeClinician
from wardround.tools.hallucination import overall, safety
from wardround.tools.hallucination.checks import Check, badness, contradicted, supported, unaddressed
from wardround.tools.hallucination.comparing import compare, type_of
from wardround.tools.hallucination.courses import course, links
from wardround.tools.hallucination.evidence import Entry, Evidence, entry_of
from wardround.tools.hallucination.hygiene import Clean, cleaned
from wardround.tools.hallucination.quotes import quoted_words, stands_in
from wardround.tools.hallucination.residue import unread
from wardround.tools.hallucination.statements import Reading, Said, StatementReader
from wardround.tools.hallucination.vocabulary import vocabulary

_QUOTABLE = frozenset(
    (
        SourceKind.GUIDELINE,
        SourceKind.SYSTEMATIC_REVIEW,
        SourceKind.TRIAL,
        SourceKind.COHORT,
        SourceKind.SCORE,
    )
)


@dataclass(frozen=True, slots=True)
class Examination:
    """A verdict with all that led to it."""

    verdict: Verdict
    type: ClaimType
    """What the deciding check was about."""
    span: tuple[int, int] | None
    """Characters of the claim that decided."""
    correction: str | None
    """What the evidence has instead, where it has it."""
    checks: tuple[Check, ...]
    """Every check that applied, the worst first."""
    unchecked: tuple[str, ...]
    """What could not be checked, and why."""
    cautions: tuple[str, ...]
    """What deserves a look although it decides nothing, such as hidden characters or words to the reader."""


class RuleDetector:
    """Judges claims against the sources of a case. One detector is for one patient and is not shared by threads."""

    def __init__(
        self,
        clinician: KnowledgeClinician,
        *,
        age: float | None = None,
        sex: str | None = None,
        patient: str | None = None,
        subjects: Mapping[str, str] | None = None,
    ) -> None:
        """Read claims and evidence with a clinician's vocabulary.

        Args:
            clinician: The embedded knowledge.
            age: Of the patient, in years; texts about someone of another age are about someone else.
            sex: `female` or `male`; likewise.
            patient: Number or name of the patient; without it the one that most sources name.
            subjects: Who each source is about, by source id, where that is known from elsewhere.
        """
        self._kb = clinician.kb
        self._age, self._sex, self._patient = age, sex, patient
        self._subjects = subjects or {}
        self._reader = StatementReader(clinician, age=age, sex=sex)
        self._entries: dict[str, Entry] = {}
        self._names: tuple[str, ...] | None = None
        self._indexed = Evidence((), patient=patient, subjects=self._subjects)

    def check(self, claim: Claim, sources: Mapping[str, Source], /) -> Verdict:
        """Judge one claim by the worst of the checks that apply to it."""
        return self.examine(claim, sources).verdict

    def evidence(self, sources: Mapping[str, Source]) -> Evidence:
        """Return the evidence read and indexed; each source is read once."""
        names = tuple(sources)
        if names != self._names:
            for source in sources.values():
                if source.id not in self._entries:
                    self._entries[source.id] = entry_of(source, self._reader, age=self._age, sex=self._sex)
            entries = (self._entries[source.id] for source in sources.values())
            self._indexed = Evidence(entries, patient=self._patient, subjects=self._subjects)
            self._names = names
        return self._indexed

    @property
    def reader(self) -> StatementReader:
        """What the detector reads with."""
        return self._reader

    def implied(self, code: str) -> tuple[str, ...]:
        """Return the broader findings that hold whenever this one does."""
        return self._kb.implied(code)

    def is_dangerous(self, said: Said) -> bool:
        """Whether a stated condition must not be missed, or a measured value is beyond a critical limit."""
        condition = self._kb.conditions.get(said.code)
        if condition is not None:
            return condition.must_not_miss
        entry, value = self._kb.findings.get(said.code), said.finding.value
        limits = vocabulary().critical_values.get(entry.analyte or "") if entry is not None else None
        return limits is not None and value is not None and not limits[0] <= value <= limits[1]

    def alike(self, said: Said, reading: Reading) -> frozenset[str]:
        """Return the codes read at the same place of a text; they are names of one thing."""
        return frozenset(other.code for other in reading.said if _meet(other, said))

    def read(self, text: str) -> Reading:
        """Return what a text states, as the detector reads it."""
        return self._reader.read(text)

    def examine(self, claim: Claim, sources: Mapping[str, Source]) -> Examination:
        """Judge one claim and keep every check, the deciding span, and what could not be checked."""
        return self._examined(claim, sources, self.evidence(sources))

    def check_all(self, claims: Iterable[Claim], sources: Mapping[str, Source], /) -> list[Verdict]:
        """Judge claims that share their evidence; the evidence is looked through once for all of them."""
        evidence = self.evidence(sources)
        return [self._examined(claim, sources, evidence).verdict for claim in claims]

    def _examined(self, claim: Claim, sources: Mapping[str, Source], evidence: Evidence) -> Examination:
        clean = cleaned(claim.text)
        checks = [*self._citations(claim, sources, evidence)]
        if claim.kind in (ClaimKind.GUIDELINE, ClaimKind.SCORE):
            checks.append(_stands(claim, sources))
        elif not clean.text.strip():
            checks.append(
                unaddressed("unreadable", "the claim addresses its reader and states nothing", ClaimType.OTHER)
            )
        else:
            checks += self._statements(claim, clean, evidence)
        placed = checks if clean.places is None else [_placed(c, clean) for c in checks]
        ordered = sorted(placed, key=badness, reverse=True)
        worst = ordered[0]
        verdict = Verdict(
            claim=claim.id, label=worst.label, severity=worst.severity, evidence=worst.evidence, reason=worst.reason
        )
        open_ = tuple(c.reason for c in ordered if c.label is VerdictLabel.NOT_ADDRESSED)
        return Examination(
            verdict, worst.type, worst.span, worst.correction, tuple(ordered), open_, _cautions(clean, worst, evidence)
        )

    def _citations(self, claim: Claim, sources: Mapping[str, Source], evidence: Evidence) -> Iterable[Check]:
        missing = [cited for cited in claim.cites if cited not in sources]
        if missing:
            words = f"{', '.join(missing)} is no evidence of this case"
            yield contradicted(Severity.CRITICAL, "citation", words, (), ClaimType.OTHER, None)
        for cited in claim.cites:
            if cited in evidence.strangers:
                words = f"{cited} is cited, but {evidence.strangers[cited]}"
                yield contradicted(Severity.CRITICAL, "patient", words, [cited], ClaimType.OTHER, None)
        for words_ in quoted_words(claim.text):
            cited_texts = [e.clean.text for i, e in evidence.entries.items() if not claim.cites or i in claim.cites]
            if not any(words_.lower() in " ".join(text.lower().split()) for text in cited_texts):
                yield contradicted(
                    Severity.CRITICAL, "quote", f"no evidence has the words {words_!r}", (), ClaimType.OTHER, None
                )

    def _statements(self, claim: Claim, clean: Clean, evidence: Evidence) -> list[Check]:
        text = clean.text
        reading = self._reader.read(text)
        checks = [
            *safety.impossible(reading, age=self._age, sex=self._sex, kb=self._kb),
            *safety.implausible_values(text, self._kb),
            *safety.codes(text, reading, self._kb),
            *safety.stains(text, reading, evidence),
            *safety.forbidden(text, reading, evidence),
        ]
        trend = course(text, evidence, self._kb)
        whole = overall.overall(text, reading, evidence)
        things = self._things(claim, reading, evidence, text) if not whole else []
        if trend:
            things = [c for c in things if c.code != "silent"]
        if not any(c.label is VerdictLabel.SUPPORTED and c.type is ClaimType.DRUG for c in things):
            checks += safety.doses(reading)
        checks += [*trend, *whole, *things, *(links(reading, evidence) if reading.links else ())]
        if not trend and not whole and not things:
            words = "the claim states nothing that the detector knows"
            checks.append(unaddressed("unreadable", words, ClaimType.OTHER, (0, len(text))))
            return checks
        if not any(c.label is VerdictLabel.CONTRADICTED for c in checks):
            deciding = {i for c in checks for i in c.evidence} | set(claim.cites)
            near = [e for i in sorted(deciding) if (e := evidence.about_by_id.get(i)) is not None]
            checks += unread(text, reading, near, is_whole=bool(whole or trend))
        return checks

    def _things(self, claim: Claim, reading: Reading, evidence: Evidence, text: str) -> list[Check]:
        """Judge each thing; a name that no evidence has gives way to one of its place that is borne out."""
        judged = [(said, self._thing(claim, said, evidence, text)) for said in reading.said]
        borne = [said for said, check in judged if check.label is VerdictLabel.SUPPORTED]
        return [c for s, c in judged if c.code != "silent" or not any(self._goes_with(s, b) for b in borne)]

    def _goes_with(self, silent: Said, borne: Said) -> bool:
        """Whether a thing that no evidence names needs none, since another that is borne out says it."""
        if silent.code in self._kb.implied(borne.code):
            return True
        if borne.code.startswith("organism:") and silent.code.endswith("culture_positive"):
            return True
        if borne.finding.value is not None and silent.finding.value is None and _meet(silent, borne):
            return True
        both_known = silent.code in self._kb.findings and borne.code in self._kb.findings
        return not both_known and _meet(silent, borne)

    def _thing(self, claim: Claim, said: Said, evidence: Evidence, text: str) -> Check:
        found = _found(said, evidence)
        cited = [(s, source) for s, source in found if source.id in claim.cites]
        check: Check | None = None
        for places, where in ((cited, "cited"), (found, "elsewhere in the evidence")):
            if places and (check is None or check.label is VerdictLabel.NOT_ADDRESSED):
                check = compare(said, places, where, text)
        if check is not None:
            return check
        on_normal = overall.presence_on_normal(said, evidence)
        if on_normal is not None:
            return on_normal
        other = _other_organism(said, evidence)
        if other is not None:
            return other
        strangers = evidence.elsewhere(said.code)
        if strangers:
            words = f"{said.code} is told of someone else: {evidence.strangers[strangers[0]]}"
            return unaddressed("patient", words, type_of(said), said.finding.span)
        return unaddressed("silent", f"no evidence speaks of {said.code}", type_of(said), said.finding.span)


def _meet(one: Said, other: Said) -> bool:
    (start, end), (low, high) = one.finding.span or (0, 0), other.finding.span or (0, 0)
    return start < high and low < end


def _found(said: Said, evidence: Evidence) -> Sequence[tuple[Said, Source]]:
    """Return what is said of the same thing; of a class of drugs also its members, of allergy also the lack of any."""
    found = list(evidence.speaks_of(said.code))
    kind, _, name = said.code.partition(":")
    if kind == "class" and said.finding.assertion is not Assertion.ABSENT:
        members = (f"drug:{d}" for d, drug in vocabulary().drugs.items() if drug.group == name)
        found += [pair for code in members for pair in evidence.speaks_of(code)]
    if said.code == "allergy:any":
        found += [pair for code, pairs in evidence.of_kind("allergy") if code != said.code for pair in pairs]
    elif kind == "allergy" and not found:
        found += evidence.speaks_of("allergy:any")
    return found


def _other_organism(said: Said, evidence: Evidence) -> Check | None:
    """One organism claimed where the evidence names another is wrong about the cause."""
    if not said.code.startswith("organism:") or said.finding.assertion is not Assertion.PRESENT:
        return None
    grown = [
        (told, source)
        for _, found in evidence.of_kind("organism")
        for told, source in found
        if told.finding.assertion is Assertion.PRESENT
    ]
    if not grown:
        return None
    names = sorted({told.finding.name for told, _ in grown})
    words = f"the evidence names {' and '.join(names)}, not {said.finding.name}"
    ids = [source.id for _, source in grown]
    return contradicted(Severity.CRITICAL, "organism", words, ids, ClaimType.CAUSE, said.finding.span, names[0])


def _stands(claim: Claim, sources: Mapping[str, Source]) -> Check:
    for cited in claim.cites:
        source = sources.get(cited)
        if source is not None and source.kind in _QUOTABLE and stands_in(claim.text, source.text):
            return supported("quote", "stands there word for word", [cited], ClaimType.OTHER, (0, len(claim.text)))
    return unaddressed("quote", "no cited source has these words", ClaimType.OTHER, (0, len(claim.text)))


def _placed(check: Check, clean: Clean) -> Check:
    return check if check.span is None else replace(check, span=clean.place(*check.span))


def _cautions(clean: Clean, worst: Check, evidence: Evidence) -> tuple[str, ...]:
    found = []
    if clean.hidden:
        found.append(f"hidden: {clean.hidden} hidden characters in the claim")
    if clean.addressed:
        found.append("addressed: the claim speaks to its reader")
    for name in worst.evidence:
        entry = evidence.entries.get(name)
        if entry is not None and entry.clean.hidden:
            found.append(f"hidden: {entry.clean.hidden} hidden characters in {name}")
        if entry is not None and entry.clean.addressed:
            found.append(f"addressed: {name} speaks to its reader")
    return tuple(found)
