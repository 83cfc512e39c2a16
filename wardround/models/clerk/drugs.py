"""Whether a drug is one that a patient is allergic to, by names and classes.

Members of a class are told by the stems of their names: WHO, The use of stems in the selection of international
nonproprietary names (INN) for pharmaceutical substances, 2018; those without a stem are listed. Not complete: that
nothing is found does not mean that a drug is safe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wardround.models.clerk.wording import words

_CLASSES: Mapping[str, tuple[str, str]] = {
    "penicillin": (r"penicillins?|beta[- ]?lactams?", r"\w*cillin|co-?amoxiclav|augmentin"),
    "cephalosporin": (r"cephalosporins?|beta[- ]?lactams?", r"cef\w+|cephalexin"),
    "carbapenem": (r"carbapenems?|beta[- ]?lactams?", r"\w+penem"),
    "sulfonamide": (r"sul(?:f|ph)a(?: drugs?)?|sul(?:f|ph)onamides?", r"sul(?:f|ph)a\w+|co-?trimoxazole|bactrim"),
    "macrolide": (r"macrolides?", r"\w*thromycin"),
    "quinolone": (r"(?:fluoro)?quinolones?", r"\w+floxacin"),
    "tetracycline": (r"tetracyclines?", r"\w*cycline"),
    "aminoglycoside": (r"aminoglycosides?", r"gentamicin|tobramycin|amikacin|streptomycin|neomycin"),
    "non-steroidal anti-inflammatory drug": (
        r"nsaids?|non-?steroidal\S*|salicylates?",
        r"ibuprofen|naproxen|diclofenac|ketorolac|indomet(?:h)?acin|aspirin|acetylsalicylic|meloxicam|\w*coxib|ketoprofen",
    ),
    "opioid": (
        r"opioids?|opiates?",
        r"morphine|codeine|oxycodone|hydrocodone|hydromorphone|tramadol|methadone|buprenorphine|\w*fentan[iy]l\w*",
    ),
    "ACE inhibitor": (r"ace[- ]inhibitors?", r"\w+pril"),
    "angiotensin receptor blocker": (r"arbs?|angiotensin receptor blockers?", r"\w+sartan"),
    "statin": (r"statins?", r"\w+vastatin"),
    "heparin": (r"heparins?", r"\w*parin"),
    "beta blocker": (r"beta[- ]?blockers?", r"\w+olol|carvedilol|labetalol"),
    "proton pump inhibitor": (r"proton[- ]pump inhibitors?|ppis?", r"\w+prazole"),
    "benzodiazepine": (r"benzodiazepines?", r"\w+azepam|\w+azolam"),
    "insulin": (r"insulins?", r"insulin"),
}
"""Class: how allergies name it, and how its members are called."""

_OTHER_CLASSES = re.compile(
    r"\b(?:anti\w+s?|blood thinners?|diuretics?|steroids?|corticosteroids?|pain ?killers?|analgesics?|inhalers?|"
    r"sedatives?|hypnotics?|"
    r"vasopressors?|laxatives?|contraceptives?|\w+ inhibitors?|\w+ (?:ant)?agonists?|\w+ blockers?)\b",
    re.IGNORECASE,
)
"""Words for classes whose members are not known here; `anti` begins most."""

_FORM_WORDS = """
    mg mcg g ml meq mmol unit units tablet tablets capsule capsules oral injection injectable solution infusion iv po
    intravenous daily dose drug product extended release suspension per and with in of for the replacement repletion
    sodium potassium calcium magnesium chloride hydrochloride sulfate sulphate phosphate acetate maleate tartrate acid
    allergy allergic to medication replace order supplement supplementation
"""
_FORMS = frozenset(_FORM_WORDS.split())
"""Words of a drug's name that do not tell which substance it is, salts among them."""


def clash(drug: str, allergen: str) -> str | None:
    """Return why a drug may be one that a patient is allergic to; nothing where no word says so.

    >>> clash("amoxicillin 500 mg", "Penicillin V"), clash("paracetamol", "Penicillin V")
    ('amoxicillin is a penicillin', None)
    """
    shared = substances(drug) & substances(allergen)
    if shared:
        return f"{min(shared)} is named in it"
    for name, (called, members) in _CLASSES.items():
        member = re.search(rf"\b(?:{members})\b", drug, re.IGNORECASE)
        if member and re.search(rf"\b(?:{called}|{members})\b", allergen, re.IGNORECASE):
            return f"{member.group()} is {'an' if name[0] in 'aA' else 'a'} {name}"
    return None


def substances(name: str) -> frozenset[str]:
    """Return the words of a drug's name that tell which substance it is; all if none of them does."""
    every = frozenset(word for word in words(name) if not word[0].isdigit())
    return every - _FORMS or every


def is_of(drug: str, asked: str) -> bool | None:
    """Return whether a drug is of a class that is asked for; nothing where that names no class that is known here.

    >>> is_of("atorvastatin 20 mg", "a statin"), is_of("warfarin", "statin"), is_of("warfarin", "warfarin")
    (True, False, None)
    """
    for called, members in _CLASSES.values():
        if re.fullmatch(rf"(?:an?\s+|any\s+)?(?:{called})", asked.strip(), re.IGNORECASE):
            return re.search(rf"\b(?:{members}|{called})\b", drug, re.IGNORECASE) is not None
    return None


def is_unknown_class(asked: str) -> bool:
    """Whether words name a class of drugs whose members are not known here.

    >>> is_unknown_class("an anticoagulant"), is_unknown_class("metformin")
    (True, False)
    """
    return is_of("", asked) is None and _OTHER_CLASSES.search(asked) is not None
