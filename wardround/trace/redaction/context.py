"""Whether a word that is a name and something else is the name here; what stands around it decides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from wardround.trace.redaction import words
from wardround.trace.redaction.classes import Identifier

_REACH = 80
"""Characters looked at on either side."""
_TITLED = 3
"""Letters of a short name that is no abbreviation where only the first is a capital."""
_SENTENCE_END = re.compile(r"(?:^|[.!?:;\n•*]|\n\s*[-–]|\d[.)])\s*$")
_APPOSITION = re.compile(r"\s*(?:,\s*(?:an?\s)?(?:aged\s)?\d|\(\s*(?:\d|aged|DOB|NHS|MRN))", re.IGNORECASE)
"""An age or a number of somebody."""
_GENITIVE = re.compile(r"(?:'s|’s|s'|s’|'|’)(?![a-z])", re.IGNORECASE)
_VALUED = re.compile(
    r"\s*(?:levels?|of|is|was|:|=)?\s*[<>]?\d+(?:\.\d|\s*(?:mmol|umol|µmol|mg|ng|iu|u/|g/|%))", re.IGNORECASE
)
"""A measured value: what stands before it in a few letters is an analyte."""
_DIGIT_AFTER = re.compile(r"\s*(?:the\s)?\d")
_SPOKEN = re.compile(
    r"\b(?:discussed|spoke|spoken|talked|met|meeting|call|called|letter|referred)\s+(?:with|to|by|from)\s+$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Place:
    """A stretch of a text."""

    text: str
    start: int
    end: int

    @cached_property
    def word(self) -> str:
        """The stretch itself."""
        return self.text[self.start : self.end]

    @cached_property
    def before(self) -> str:
        """What stands before it."""
        return self.text[max(self.start - _REACH, 0) : self.start]

    @cached_property
    def after(self) -> str:
        """What stands behind it."""
        return self.text[self.end : self.end + _REACH]

    @cached_property
    def is_capitalised(self) -> bool:
        """Whether each of its words begins with a capital."""
        return all(part[:1].isupper() for part in re.findall(r"[^\W\d_]+", self.word))

    @cached_property
    def is_shouted(self) -> bool:
        """Whether it stands among capitals only, where a capital says nothing."""
        line = self.before.rsplit("\n", 1)[-1] + self.word + self.after.split("\n", 1)[0]
        return self.word.isupper() and line.isupper() and len(re.findall(r"[^\W\d_]{2,}", line)) > 1

    @cached_property
    def is_abbreviation(self) -> bool:
        """Whether it is all capitals in a text that is not."""
        return len(self.word) > 1 and self.word.isupper() and not self.is_shouted

    @property
    def has_title(self) -> bool:
        """Whether a title such as `Mrs` stands before it."""
        return words.TITLE.search(self.before) is not None

    @property
    def is_clinician(self) -> bool:
        """Whether a clinician's title stands before it."""
        return words.CLINICIAN_TITLE.search(self.before) is not None

    @property
    def begins_sentence(self) -> bool:
        """Whether it would have a capital anyway."""
        return self.start == 0 or _SENTENCE_END.search(self.before) is not None

    @property
    def acts(self) -> bool:
        """Whether a verb in the third person, an age or a relation follows, as behind a person."""
        genitive = _GENITIVE.match(self.after)
        owns = genitive is not None and words.RELATION.match(self.after[genitive.end() :]) is not None
        return owns or words.PERSONAL.match(self.after) is not None or _APPOSITION.match(self.after) is not None


def is_name(word: str, place: Place, category: Identifier) -> bool:
    """Return whether a word that is more than a name is the name here.

    Args:
        word: Folded.
        place: Where it stands.
        category: What it would be the name of.
    """
    if place.has_title:
        return True
    if not place.is_capitalised:
        return False
    if not place.is_shouted and (words.LABEL.search(place.before) or _SPOKEN.search(place.before)):
        return not _is_fixed(word, place)
    if word in words.EPONYMS and (word not in words.PLAIN or _names_a_disease(place)):
        return _is_no_eponym(place)
    if word in words.MONTHS and (words.OF_A_MONTH.search(place.before) or _DIGIT_AFTER.match(place.after)):
        return False
    if len(word) <= _TITLED and _VALUED.match(place.after):
        return False
    if word in words.PRONOUNS:
        return not (place.begins_sentence or place.is_shouted or place.is_abbreviation or _is_fixed(word, place))
    if len(word) == _TITLED and word not in words.PLAIN and place.word[1:].islower():
        return True
    if _is_fixed(word, place) or place.is_abbreviation:
        return False
    if place.begins_sentence or place.is_shouted:
        return place.acts and category is Identifier.NAME
    return True


def _is_fixed(word: str, place: Place) -> bool:
    fixed = words.FIXED.get(word)
    return fixed is not None and re.match(rf"[\s-]*(?:{fixed})\b", place.after, re.IGNORECASE) is not None


def _names_a_disease(place: Place) -> bool:
    """Whether it is half of a name such as Cheyne-Stokes, or a disease or sign follows."""
    joined = re.match(r"[-–][A-Z]", place.after) or re.search(r"[^\W\d_][-–]$", place.before)
    return joined is not None or words.DISEASE.match(place.after) is not None


def _is_no_eponym(place: Place) -> bool:
    """Whether a name after which a disease is called is a person's here; a bare one in no clinical place is."""
    genitive = _GENITIVE.match(place.after)
    if _names_a_disease(place):
        return False
    if place.acts:
        return True
    if genitive is not None:
        return False
    return not (words.CLINICAL.search(place.before) or words.PROBLEMS.search(place.before))
