"""A whole text against the evidence: every clause judged, critical findings that it leaves out, and the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardround.core.claim import MEDIHALL_SCORE, Claim, ClaimKind, ClaimType, Severity
from wardround.core.finding import Assertion
from wardround.core.source import Source
from wardround.tools.hallucination.decomposition import Clause, clauses, type_of_clause
from wardround.tools.hallucination.detector import Examination, RuleDetector
from wardround.tools.hallucination.evidence import Evidence
from wardround.tools.hallucination.hygiene import cleaned
from wardround.tools.hallucination.vocabulary import vocabulary


@dataclass(frozen=True)
class Judged:
    """One clause of a text with its verdict."""

    clause: Clause
    type: ClaimType
    examination: Examination

    @property
    def span(self) -> tuple[int, int]:
        """Characters of the whole text that decided, or the whole clause."""
        inner = self.examination.span
        if inner is None or inner == (0, len(self.clause.text)):
            return self.clause.start, self.clause.end
        return self.clause.start + inner[0], self.clause.start + inner[1]


@dataclass(frozen=True)
class Omission:
    """A critical finding of the evidence that a text does not mention."""

    code: str
    name: str
    evidence: tuple[str, ...]
    severity: Severity = Severity.CRITICAL


@dataclass(frozen=True)
class Report:
    """What the detector says of a text."""

    judged: tuple[Judged, ...]
    omissions: tuple[Omission, ...]
    hidden: int
    """Hidden characters in the text."""
    score: float | None
    """MediHall mean over what was supported or contradicted and over omissions; none where nothing was."""
    worst: Severity
    """Worst severity; `unscored` where nothing was supported or contradicted."""
    unsupported: float | None
    """Share of clauses that are not supported; none where there is no clause."""
    citation_precision: float | None
    """Share of citations whose place bears the clause out; none without citations."""
    citation_recall: float | None
    """Share of supported clauses that cite a place which bears them out; none without supported clauses."""
    names: Mapping[str, str]
    """Ids that the evidence was given under, by source id."""


def check_text(text: str, sources: Mapping[str, Source], detector: RuleDetector, *, agent: str = "text") -> Report:
    """Judge every clause of a text, and name critical findings of the evidence that it leaves out.

    Args:
        text: Prose; ids of evidence in brackets are citations.
        sources: The evidence, by the ids that the text may cite.
        detector: For this patient.
        agent: Whose text it is.
    """
    judged = []
    by_id = {source.id: source for source in sources.values()}
    ids = {name: source.id for name, source in sources.items()}
    for clause in clauses(text, sources):
        cites = tuple(ids.get(cited, cited) for cited in clause.cites)
        claim = Claim(agent=agent, text=clause.text, kind=ClaimKind.FINDING, cites=cites)
        examined = detector.examine(claim, by_id)
        kind = type_of_clause(cleaned(clause.text).text, detector.reader)
        judged.append(Judged(clause, kind, examined))
    left_out = omissions(text, detector.evidence(by_id), detector)
    return _scored(judged, left_out, cleaned(text).hidden, ids)


def omissions(text: str, evidence: Evidence, detector: RuleDetector) -> list[Omission]:
    """Return critical findings that the evidence states as present and the text does not name at all."""
    mentioned = {said.code for said in detector.read(cleaned(text).text).said}
    broader = {code for said in mentioned for code in detector.implied(said)}
    found: dict[str, Omission] = {}
    for entry in evidence.about:
        for said in entry.reading.said:
            is_critical = said.code in vocabulary().critical or detector.is_dangerous(said)
            if not is_critical or said.finding.assertion is not Assertion.PRESENT:
                continue
            if said.code in mentioned | broader or mentioned & set(detector.alike(said, entry.reading)):
                continue
            known = found.get(said.code)
            ids = (*known.evidence, entry.source.id) if known else (entry.source.id,)
            found[said.code] = Omission(said.code, said.finding.name, tuple(dict.fromkeys(ids)))
    return _without_doubles(list(found.values()))


def _without_doubles(found: Sequence[Omission]) -> list[Omission]:
    """Keep one omission where several codes were read at one place under one name."""
    kept: dict[tuple[str, ...], Omission] = {}
    for omission in found:
        words = omission.name.lower().split()
        same = next((k for k, o in kept.items() if o.evidence == omission.evidence and set(words) & set(k)), None)
        if same is None:
            kept[tuple(words)] = omission
    return list(kept.values())


def _scored(judged: Sequence[Judged], left_out: Sequence[Omission], hidden: int, ids: Mapping[str, str]) -> Report:
    verdicts = [j.examination.verdict for j in judged]
    severities: list[Severity] = [v.severity for v in verdicts if v.severity is not Severity.UNSCORED]
    severities += [o.severity for o in left_out]
    scores = [MEDIHALL_SCORE[s] for s in severities]
    cited = [(ids.get(i, i), v) for j, v in zip(judged, verdicts, strict=True) for i in j.clause.cites]
    borne = [(j, v) for j, v in zip(judged, verdicts, strict=True) if v.is_supported]
    return Report(
        judged=tuple(judged),
        omissions=tuple(left_out),
        hidden=hidden,
        score=sum(scores) / len(scores) if scores else None,
        worst=min(severities, key=MEDIHALL_SCORE.__getitem__, default=Severity.UNSCORED),
        unsupported=_share([not v.is_supported for v in verdicts]),
        citation_precision=_share([v.is_supported and i in v.evidence for i, v in cited]),
        citation_recall=_share([bool({ids.get(i, i) for i in j.clause.cites} & set(v.evidence)) for j, v in borne]),
        names={source: name for name, source in ids.items()},
    )


def _share(hits: Sequence[bool]) -> float | None:
    return sum(hits) / len(hits) if hits else None
