"""What a text asks of the lists of a chart: drugs, problems, allergies, immunizations, procedures, orders."""

from __future__ import annotations

import re

from wardround.models.clerk.asked import ListForm, Listing
from wardround.models.clerk.intents import Puzzled
from wardround.models.clerk.measuring import LEVEL_WORD, residue
from wardround.models.clerk.wording import POLITE

ADMISSION = "admission"
"""Of encounters, those in which the patient stays in hospital."""
_LISTS: tuple[tuple[str, str], ...] = (
    ("AllergyIntolerance", r"\ballerg(?:y|ies|ic)\b"),
    ("Encounter", r"\badmissions?\b|\badmitted\b|\bhospitali[sz]\w+|\bhospital stays?\b|\bencounters?\b|\bvisits?\b"),
    (
        "ServiceRequest",
        r"\b(?:active|open|pending|current|outstanding|existing|any)\s+(?:\w+\s+){0,3}?(?:orders?|requests?|"
        r"referrals?)\b|\b(?:orders?|referrals?) for\b",
    ),
    ("Immunization", r"\bimmuni[sz]\w*|\bvaccin\w*|\bbooster\b|\b(?:flu|tetanus|covid\S*)\s+shot"),
    (
        "MedicationRequest",
        r"\bmedications?\b|\bmedicines?\b|\bmeds\b|\bdrugs?\b|\bprescriptions?\b|\b(?:on|taking|takes|receiving|prescribed)\s+(?!the\b|file\b|record\b|\d)\w",
    ),
    ("Procedure", r"\bprocedures?\b|\bsurger(?:y|ies)\b|\boperations?\b"),
    (
        "Condition",
        r"\bproblems?\b|\bproblem list\b|\bdiagnos(?:is|es|ed)\b|\bmedical conditions?\b|\bcomorbidit\w+|\bonset\b|"
        r"\bhistory of\b",
    ),
)
_WHAT: dict[str, tuple[str, ...]] = {
    "Encounter": (),
    "AllergyIntolerance": (r"\ballerg(?:y|ic|ies)\s+to\s+(.+)", r"\b(?:an?|any)\s+([\w -]+?)\s+allerg(?:y|ies)\b"),
    "ServiceRequest": (r"\b(?:orders?|requests?|referrals?)\s+(?:for|of|to)\s+(.+)",),
    "Immunization": (
        r"\b(?:vaccinated|immuni[sz]ed|vaccination|immuni[sz]ation|vaccine|booster)\s+(?:against|for)\s+(.+)",
        r"\b(?:last|latest|most recent|any|an?|the|receive[d]?)\s+(?!(?:last|latest|most|any|an?|"
        r"the)\b)((?:[\w-]+\s+){1,3}?)(?:vaccin\w+|immuni[sz]ation\w*|shot|booster)",
    ),
    "MedicationRequest": (r"\b(?:on|taking|takes?|receiving|prescribed|using)\s+(?!file|record|the list)(.+)",),
    "Procedure": (r"\b(?:had|have|undergone|undergo)\s+(.+)",),
    "Condition": (
        r"\bonset of\s+(.+)",
        r"\bproblem list\s+(?:of the patient\s+)?for\s+(.+)",
        r"\b(?:diagnosed with|diagnosis of|history of|suffer(?:s|ed|ing)? from)\s+(.+)",
        r"\b(?:have|has|had)\s+(?!the patient|he\b|she\b|they\b|been\b)(.+)",
    ),
}
"""How the entries that are meant are named, the surest form first."""
_TRAILING = re.compile(
    r"(?:\s+(?:currently|now|at the moment|at present|today|recorded|documented|listed|on record|on file|"
    r"as a problem|given|received|"
    r"(?:on|in)\s+(?:the|his|her|their)\s+(?:problem list|chart|record|list|system))|[\s,?.]+)+$",
    re.IGNORECASE,
)
_GENERIC_LIST = re.compile(
    r"^(?:any|an?|the|known|active|current|other|some|no)?\s*(?:known|active|current|documented)?\s*(?:orders?|requests?|referrals?|medications?|medicines?|meds|drugs?|allergies|allergy|"
    r"problems?|diagnos[ie]s|conditions?|vaccines?|vaccinations?|immuni[sz]ations?|procedures?|prescriptions?|anything|what|which)?$",
    re.IGNORECASE,
)
_HAS = re.compile(r"\b(?:does|do)\s+(?:the patient|he|she|they)\s+have\s+\w|\bsuffer\w*\s+from\b", re.IGNORECASE)
YES_NO = re.compile(rf"^{POLITE}(?:is|are|was|were|does|do|did|has|have)\b|\b(?:whether|if)\b", re.IGNORECASE)


_NOT_WHAT = re.compile(
    r"\b(?:medications?|medicines?|meds|drugs?|prescriptions?|prescribed|allerg\w+|problems?|list|diagnos\w+|conditions?|"
    r"comorbidit\w+|immuni[sz]\w*|vaccin\w*|booster|shots?|procedures?|surger\w+|operations?|orders?|requests?|referrals?|"
    r"admi\w+|hospital\w*|stays?|encounters?|visits?|active|currently|current|present|documented|known|recorded|history|"
    r"medical|running|run|standing|past|now|taking|takes|receiving|on|got|given|received|receive|had|many|date|when|codes?|ATC|ICD|names?|other|"
    r"all|ever|any|onset|state|referral|at|moment|stand|they|he|she|use|uses|using|chart|record|file|open|pending)\b",
    re.IGNORECASE,
)


def _left(text: str, kind: str) -> str:
    """The words of a text that must say which entries are meant; the surer forms have found none."""
    left = residue(_NOT_WHAT.sub(" ", re.sub(r"\([^()]*\)", " ", text))) if kind != "Encounter" else []
    return " ".join(left)


def listing_in(text: str) -> Listing | None:
    """Return what a text asks of a list of the chart, or nothing.

    Raises:
        Puzzled: It names several entries at once.

    >>> listing_in("Is the patient on warfarin").what
    'warfarin'
    """
    kind = next((kind for kind, said in _LISTS if re.search(said, text, re.IGNORECASE)), None)
    if kind is None and YES_NO.match(text) and _HAS.search(text) and not LEVEL_WORD.search(text):
        kind = "Condition"
    if kind is None:
        return None
    said = next((match[1] for form in _WHAT[kind] if (match := re.search(form, text, re.IGNORECASE))), "")
    what = _TRAILING.sub("", re.sub(r"\s*\([^()]*\)", "", said))
    what = re.sub(
        r"^(?:any|an?|the|known|active|current|documented|last|latest|recent)\s+", "", what, flags=re.I
    ).strip()
    what = _left(text, kind) if not what else "" if _GENERIC_LIST.match(what) else what
    if re.search(r"\bonset\b", text, re.IGNORECASE) and not what:
        raise Puzzled(f"the onset of what is asked for in {text[:120]!r}")
    is_current = not re.search(r"\b(?:ever|past|previous|inactive|resolved|history|all)\b", text, re.I)
    if re.search(r"\bhow many\b|\bnumber of\b|\bcount\b", text, re.I):
        form = ListForm.COUNT
    elif re.search(
        r"\bwhen\b|\b(?:which|what) (?:day|date)\b|\bonset\b|\bdate of\b|\b(?:last|latest|most recent)\b.*\b(?:date|given|received)\b",
        text,
        re.I,
    ):
        form = ListForm.LAST_TIME
    elif YES_NO.search(text):
        form = ListForm.HAS
    elif re.search(r"\b(?:last|latest|most recent)\b", text, re.I) and kind in (
        "Immunization",
        "Procedure",
        "Encounter",
    ):
        form = ListForm.LAST_TIME
    else:
        form = ListForm.NAMES
    if form is ListForm.HAS and re.search(r"\band\b", what, re.IGNORECASE):
        raise Puzzled(f"whether {what!r} is one thing or several")
    if kind == "Encounter" and re.search(r"\badmi|\bhospital", text, re.IGNORECASE):
        what = ADMISSION
    types = (kind,) if kind != "ServiceRequest" or not what else ("ServiceRequest", "MedicationRequest")
    return Listing(types, form, what, is_current)
