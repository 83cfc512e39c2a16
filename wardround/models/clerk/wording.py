"""A task's text made ready for reading: quotations set aside, sentences and clauses told apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

MOST_CHARACTERS = 20_000
"""A longer task is read up to here."""

MARK = r"⟦\d+⟧"
"""What stands in place of a quotation."""

_LABEL = re.compile(
    r"^[ \t]*(?:(?P<context>context|background|rules)|question|task|instructions?|request)[ \t]*:[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
"""What names a part of a task at the beginning of a line."""
_ABOUT_FORM = re.compile(
    r"\b(?:as (?:an? |one )?(?:ServiceRequest|MedicationRequest|Observation|Bundle)|status (?:active|final)|authoredOn|"
    r"effectiveDateTime|dosageInstruction|with (?:an?|its) (?:LOINC|ATC|SNOMED\S*|NDC) code \(system)\b"
)
"""Words of a sentence that says how resources are written, not what is to be done."""
_QUOTED = re.compile(r'"([^"]*)"|“([^”]*)”|«([^»]*)»|(?<![\w.])\'([^\'\n]{1,120})\'(?!\w)')
_PLAIN = str.maketrans({"’": "'", "‘": "'", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "−": "-", "μ": "µ"})
_ABBREVIATED = "".join(rf"(?<!\b{word})" for word in (r"e\.g", r"i\.e", "eg", "ie", "vs", "approx", "Dr", "Mr", "Ms"))
_END = re.compile(rf"{_ABBREVIATED}(?:\.(?=\s|$|[A-Z(⟦\"])|[?!;]|\n+)")
_OPENS = re.compile(r"\s+[A-Z]")
"""A new sentence behind a quotation that ends like one."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


@dataclass(frozen=True)
class Sentence:
    """A sentence of a task, with the mark that ended it."""

    text: str
    end: str
    start: int
    """Where it begins in the text."""
    is_context: bool = False
    """Whether it tells what holds, not what is to be done."""

    @property
    def is_question(self) -> bool:
        """Whether it ends in a question mark."""
        return self.end == "?"


@dataclass(frozen=True)
class Wording:
    """A task's text with `⟦0⟧`, `⟦1⟧` ... in place of what it quotes."""

    text: str
    quotes: tuple[str, ...]
    """Word for word."""
    context_from: int
    """Where in the text the context begins, where the task names it; otherwise the end of the text."""

    @classmethod
    def of(cls, text: str) -> Wording:
        r"""Set the quotations of a text aside, and the context behind what is to be done.

        >>> Wording.of('The code is "MG".').text
        'The code is ⟦0⟧.\n'
        """
        quotes: list[str] = []

        def aside(match: re.Match[str]) -> str:
            quotes.append(next(group for group in match.groups() if group is not None))
            ends = quotes[-1].rstrip()[-1:] in (".", "?", "!") and _OPENS.match(match.string, match.end())
            return f"⟦{len(quotes) - 1}⟧{'.' if ends else ''}"

        kept = text[:MOST_CHARACTERS].replace("⟦", "[").replace("⟧", "]")
        asked, context = (_QUOTED.sub(aside, part).translate(_PLAIN) for part in _parts(kept))
        return cls(f"{asked}\n{context}", tuple(quotes), len(asked) + 1)

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """The sentences, without the marks that end them; a semicolon and a line break end one too."""
        found, start = [], 0
        for end in [*_END.finditer(self.text), None]:
            stop = end.start() if end is not None else len(self.text)
            text = self.text[start:stop]
            if text.strip():
                lead = len(text) - len(text.lstrip())
                mark = end.group()[0] if end is not None else ""
                is_context = start + lead >= self.context_from or _ABOUT_FORM.search(text) is not None
                found.append(Sentence(" ".join(text.split()), mark, start + lead, is_context))
            start = end.end() if end is not None else stop
        return tuple(found)

    @property
    def instruction(self) -> str:
        """The text without the context."""
        return self.text[: self.context_from]

    def quoted(self, text: str) -> list[str]:
        """Return what a stretch of the text quotes, in order."""
        return [self.quotes[int(number)] for number in re.findall(r"⟦(\d+)⟧", text)]

    def restored(self, text: str) -> str:
        r"""Return a stretch of the text with its quotations in their place.

        >>> wording = Wording.of('Write "as is" here')
        >>> wording.restored(wording.text)
        'Write as is here\n'
        """
        return re.sub(r"⟦(\d+)⟧", lambda match: self.quotes[int(match[1])], text)


def _parts(text: str) -> tuple[str, str]:
    """What is to be done, and the context where the task names it."""
    labels = list(_LABEL.finditer(text))
    if not labels:
        return text, ""
    ends = [*(label.start() for label in labels[1:]), len(text)]
    parts = [(label["context"] is not None, text[label.end() : end]) for label, end in zip(labels, ends, strict=True)]
    asked = [text[: labels[0].start()], *(part for is_context, part in parts if not is_context)]
    context = [part for is_context, part in parts if is_context]
    if len(asked) == 1 and not asked[0].strip():
        return "\n".join(context), ""
    return "\n".join(asked).strip("\n"), "\n".join(context).strip("\n")


POLITE = (
    r"(?:(?:please|kindly|also|and|then|so|now|next|first|finally|immediately|just|can you|could you|would you|"
    r"will you|you (?:should|must|can|may|need to|are to)|i(?:'d| would) like (?:you )?to|i (?:want|need) (?:you )?to|"
    r"we (?:need to|want to|should|have to)|need to|help (?:me|us)(?: to)?|make sure (?:to|you|that you)|be sure to|"
    r"go ahead and)[,\s]+)*"
)
"""What may stand before what a sentence asks for, as a regular expression."""

_STOP_WORDS = """
    a an the of for in on at to by with and or is are was were be it its his her their this that any from as per
    serum plasma blood level levels value values result results measurement measurements reading readings lab labs
    laboratory test tests order ordering ordered new last latest recent current most patient patients replacement iv
    oral code draw
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that do not tell one thing from another in a hospital."""


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text in lower case.

    >>> words("HbA1C (Patient's)")
    ('hba1c', 'patient')
    """
    return tuple(word.lower().removesuffix("'s") for word in _WORD.findall(text))


def telling(text: str) -> frozenset[str]:
    """Return the words of a name that tell what it names, without a plural's ending; all if none of them does."""
    every = words(text)
    kept = [word for word in every if word not in STOP_WORDS] or list(every)
    return frozenset(_singular(word) for word in kept)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
