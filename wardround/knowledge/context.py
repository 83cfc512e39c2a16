"""Whether a text says that something is so: negation, doubt, history, family, supposition.

Rules in the manner of ConText (Harkema et al. 2009), written for Wardround: triggers before or after
their target, pseudo-triggers that cancel them, and terminators that end a trigger's reach.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from wardround.core.finding import Assertion
from wardround.knowledge.expressions import Expression, fitting

REACH = 10
"""Words that a trigger reaches at most; lists joined by commas, `or` and `and` extend it."""
LIST_REACH = 30
_REACH_BACK = 3
"""Words that a trigger behind its target reaches back over."""
_ITEM = 4
"""Words that an item of a list has at most."""
_JOINED = re.compile(r"^\s*(?:or|nor|and)\b", re.IGNORECASE)
_LISTING = re.compile(r"den(?:y|ies|ied|ying)|negative for|neg for|free of|nor|lacks?|absence of", re.IGNORECASE)
_SUBJECT = re.compile(
    r"^\s*(?:the |your |his |her )?(?:he|she|they|it|patient|pt|i|we|there|child|baby) \w+$", re.IGNORECASE
)
_STATEMENT = re.compile(
    r"^\s*(?:and\s+|but\s+)?(?:lost|can'?t|cannot|unable|feels?|felt|has|had|is|was|are|were|keeps?|gets?|got|woke|lips|tongue|both|then)\b",
    re.IGNORECASE,
)
"""Words with which a new statement begins, and no item of a list."""
_DEGREE = re.compile(r"^\s*(?:mild|moderate|severe|marked|slight|new|sudden)\b", re.IGNORECASE)
"""`No rash, mild neck stiffness` says that the neck is stiff."""
_PAST_HISTORY = re.compile(r"history|h[/]o|hx|pmh|past|known", re.IGNORECASE)
"""Triggers that head a list of former illnesses; `years ago` does not."""
_OR = re.compile(r"^[^.;]{0,60}\b(?:or|nor)\b", re.IGNORECASE)
_LAST_OR = re.compile(r"\b(?:or|nor)\b", re.IGNORECASE)

_BEFORE: dict[Assertion, str] = {
    Assertion.FAMILY: r"""
        family (?:history|hx)(?: positive)?(?: of| for)?:? | fh(?:x)?(?: of| positive for)?:?
        | (?:(?:his|her|their|my|the|a|pt'?s?|patient'?s?|maternal|paternal|older|younger|twin) )*
          (?:mother|father|mum|mom|dad|brother|sister|aunt|uncle|grandmother|grandfather|grandparent|cousin
          |sibling|parent|twin|niece|nephew)s?
          (?!(?: (?:has|had|have|is|was|who|also|recently|both))* (?:noticed|noted|noting|seen|found|reported|observed
          |brought|given|tried|worried|concerned|anxious|unsure|unable)\b)
          (?: (?:has|had|have|died|was|is|with|who|also|recently|diagnosed|suffers?|suffered|both)\b| of\b)+
        | (?:his|her|their) (?:son|daughter|wife|husband|partner|spouse|girlfriend|boyfriend|flatmate|roommate|colleague
          |friend|neighbou?r|classmate)s?
          (?!(?: (?:has|had|have|also|is|was))* (?:noticed|noted|seen|found|reported|observed|brought|given|worried
          |concerned)\b) (?:has|had|have|was|is|died)
    """,
    Assertion.HYPOTHETICAL: r"""
        if | should | in case of | in the event of | return (?:if|for|with) | come back (?:if|for|with)
        | call (?:if|for) | monitor(?:ed|ing)?(?: closely)? for | watch(?:ing)? for | look out for
        | at risk (?:of|for) | risk of | to prevent | prevention of | prophylaxis (?:of|for|against)
        | advised (?:about|regarding|to return) | warned (?:about|of) | precautions? (?:for|regarding)
        | worried (?:about|that it (?:is|could be)) | worries about | afraid of | fear(?:s|ful)? of having
        | screen(?:ed|ing)? for | as needed for | prn
        | (?:do|does|did|have|has|had|are|is|was|were|can|could|would|will)
          [ ](?:you|he|she|they|it|this|that|these|there|we|i|the|your|his|her|my|any)\b(?=[^.!?;]*\?)
        | any(?=[^.!?;]*\?) | (?:what|how) about
    """,
    Assertion.POSSIBLE: r"""
        cannot (?:be )?(?:rule|ruled|exclude|excluded)(?: out)? | can'?t (?:rule out|exclude)
        | could not (?:rule out|exclude) | unable to (?:rule out|exclude) | not (?:ruled out|excluded)
        | \? | rule out:? | r/o:? | to exclude | possible | possibly | probable | probably | suspected | suspicious for
        | suspicion of | suspicion for | suspect | concern(?:ed|ing)? (?:for|about) | likely | may be | may have
        | might be | might have | could be | could have | perhaps | maybe | question of | questionable | query
        | consider(?:ing)? | versus | vs | ddx:? | differential:
        | differential (?:includes?|diagnos[ie]s(?: includes?)?):? | consistent with possible
        | cannot exclude | appears to be | equivocal | borderline | uncertain | unsure (?:if|whether)
        | evaluate for | assess for | work ?up for | to look for
    """,
    Assertion.ABSENT: r"""
        no | not | nor | neither | none | never | without | w/o | denie[sd]:? | deny | denying | negative for:?
        | neg for:? | clear of | nothing to (?:suggest|indicate)
        | free of | free from | absence of | absent | lack(?:s|ed|ing)?(?: of)? | no evidence of | no sign(?:s)? of
        | no history of | no known(?: history of)? | no complaints? of | not have | n't | doesn't | didn't | don't
        | isn't | wasn't | hasn't | haven't | hadn't | aren't | weren't | ruled out | rules out | ruling out
        | excluded | excludes | excluding | failed to (?:show|reveal|demonstrate)
        | unremarkable for | nil | non | resolution of | rather than | instead of
    """,
    Assertion.HISTORICAL: r"""
        history of | h/o | hx of | hx | past history(?: of)?:? | (?:past )?medical history(?: of| includes
        | significant for)?:?
        | pmh(?:x)?(?: of| includes)?:? | previous | previously | prior | past | remote | formerly | former
        | childhood | years ago | months ago | last year | in (?:19|20)\d\d | status post | s/p | known
    """,
}

_AFTER: dict[Assertion, str] = {
    Assertion.FAMILY: r"in (?:his|her|their|my|the) (?:mother|father|family|brother|sister|parents)"
    r"|runs? in (?:the|his|her|my|their) family",
    Assertion.HYPOTHETICAL: r"(?:develops?|occurs?|recurs?|worsens?|returns?|arises?) (?:return|call|come|seek|go)"
    r"|prophylaxis|precautions",
    Assertion.POSSIBLE: r"""
        (?:is |was |are |remains? |seems? )?(?:very |highly )?(?:unlikely|less likely|possible|suspected|likely
        |probable|questionable|uncertain
        |doubtful) | (?:cannot|can not|can't|could not|couldn't) be (?:ruled out|excluded)
        | not (?:yet )?(?:been )?(?:ruled out|excluded) | (?:versus|vs)\b
        | is (?:being )?considered | to be (?:ruled out|excluded) | in the differential | \?
    """,
    Assertion.ABSENT: r"""
        (?:is|was|were|are|been|be|has been|have been|now)? ?(?:ruled out|excluded|absent|negative|not (?:seen
        |present|found|noted
        |detected|identified|demonstrated|evident|felt|heard|elicited|palpable|visible|appreciated|elevated|raised)
        |resolved|gone|free) | but not (?:found|seen|present|confirmed) | (?:has|have) (?:since )?(?:now )?(?:resolved
        |settled|gone|subsided|cleared|stopped|ceased|disappeared|abated) | went away
        | \s*[:–—-]\s*(?:no|none|nil|neg|negative|absent|denied|not (?:present|seen))(?=\s*(?:[.,;)]|$))
        | denied | none | nil | free\b
        | (?:(?:is|was|are|were) (?:not|never)|isn't|wasn't|aren't|weren't)
          [ ](?:there|a (?:feature|problem|concern|complaint)|reported|described|mentioned|experienced|documented
          |recorded)
        | (?:(?:is|was|are|were) (?:not|never)|isn't|wasn't|aren't|weren't)(?=\s*(?:[.,;)]|$))
        | (?:did|does|do) not (?:occur|exist) | (?:grew|showed?|found|revealed) nothing | no growth
    """,
    Assertion.HISTORICAL: r"""
        (?:\d+|several|many|few|two|three|four|five|six|seven|eight|nine|ten|a|some|couple of) (?:years?|months?
        |decades?) ago | in (?:19|20)\d\d | last (?:year|month|winter|summer|spring|autumn|fall)
        | as a (?:child|teenager|boy|girl|baby|kid) | in (?:childhood|the past|his youth|her youth|infancy)
        | at (?:the )?age (?:of )?\d+
    """,
}

_PSEUDO = r"""
    no (?:(?:significant|interval|real|apparent|further|great|obvious|definite|appreciable) )?
    (?:change|increase|decrease|improvement|worsening
    |relief|response|progress)(?: in| of| from| to| with| after)?
    | not only | not just | not (?:relieved|improved|improving|better|helped|settling|settled|responding|controlled
    |changed|tolerat\w+|sleep\w*|resolv\w+|know)(?: by| with| after| in)?
    | without (?:change|improvement|relief|difficulty breathing through) | no (?:better|worse|longer tolerat\w+)
    | gram negative | not (?:sure|certain|clear) | doesn't (?:help|go away|improve|settle) | don't know (?:why|what)
    | no (?:one(?!-)|doubt|matter|idea) | nothing (?:helps|relieves) | has not (?:improved|resolved|settled|helped|gone)
    | (?:did|does|do|didn't|doesn't|don't)(?: not)? (?:help|improve|relieve|settle|respond|touch|ease|work)
    | can(?:no|')t (?:sleep|walk|stand|keep|eat|hold|breathe|catch|pass|see|move|bear|stop|lie|work|swallow|open
    |feel|lift|raise|weight)
    | unable to | no longer able | not able to | not been able to | not (?:breathing|eating|drinking|walking
    |sleeping|passing)
    | negative pressure | old (?:man|woman|male|female|boy|girl|lady|gentleman)|years? old
    | not taking | stopped taking | not fully | not vaccinated | if anything | what if | as if | even if
    | known (?:to have|case of|for|with)? | likely to
    | (?:not|n't|never|nor) (?:deny|denies|denied|denying|without) | (?:doesn't|didn't|don't|cannot|can't) deny
    | no (?:absence|lack|denial) of
    | (?:short|long|brief|recent|(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|several|few)[ -]
      (?:minute|hour|day|week|month|year)s?[’']?)(?: long)? (?:history|hx) of
    | (?:presents?|presented|presenting|attends?|attended|comes|came|seen|gives|gave|admitted|referred)
      [ ](?:in )?(?:with )?(?:a |an )?(?:history|hx) of
    | (?:history|hx) of(?=[^.;,]*\b(?:for|over|lasting|x)
      [ ](?:(?:the|about|around|at least|over|nearly|almost|past|last) )*(?:an?|\d+|one|two|three|four|five|six|seven
      |eight|nine|ten|several|few)[ -](?:minute|min|hour|hr|day|week|wk|month|year))
    | (?:history|hx) of(?=[^.;,]*\bsince\b)
    | (?:why|where|when|how long|how often|how bad|how much|since when|what (?:is|are|was|could|causes?))\b[^.,;?]*\?
"""

_FAMILY_PSEUDO = r"""
    (?:brought|carried|accompanied|escorted|attended|seen|witnessed|described|reported|noticed)(?: in| here| along)?
    (?: to \w+)? (?:by|with) (?:\w+ ){0,2}(?:mother|father|mum|mom|dad|brother|sister|aunt|uncle|grandmother|grandfather
    |parent|sibling|cousin)s?
    | lives with (?:\w+ ){0,2}(?:mother|father|mum|mom|dad|brother|sister|parent)s?
    | (?<!his )(?<!her )(?<!their )(?<!my )\d+[- ](?:year|yr)s?[- ]old (?:mother|father|mum|mom|dad|grandmother
    |grandfather|parent)
"""

_STOP = r"""
    but | however | although | though | except(?: for)? | apart from | aside from | other than | yet | nevertheless
    | still | now | whereas | while | presents? with | presented with | presenting with | complains? of | c/o
    | reports? | reporting | reported | admits? | endorses? | endorsing | describes? | notes? that
    | because | therefore | due to | secondary to | which | who | whose | since when | until
    | (?:he|she|they|it|patient|pt|i|we|there) (?:has|have|had|is|was|are|were|does|did|reports?|feels?|felt|also
    |now|then|became|developed|noticed|started|looks?|looked|appears?|appeared|admits?|says?|said|takes?|took
    |smokes?|drinks?|lives?|works?|can|could)
    | and (?:has|have|had|is|was|reports?|now|then|feels?|complains?|developed|a |an |the |her |his |my )
    | on examination | on exam | o/e | examination | exam | ecg | ekg | cxr | ct | mri | us | labs? | bp | hr | temp
    | shows? | showed | revealed | reveals | demonstrates?
"""

_CLAUSE = re.compile(r"[.;!?]|\s[-–—]\s|:\s(?=\S)|\n")


def _compile(body: str) -> Expression:
    cleaned = re.sub(r"\s*\n\s*", "", body.strip())
    cleaned = re.sub(r"\s*\|\s*", "|", cleaned)
    return Expression(rf"(?:(?<![\w'])|(?=\W))(?:{cleaned})(?:(?<=\W)|(?!\w))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Trigger:
    assertion: Assertion
    start: int
    end: int
    forward: bool


PRECEDENCE: Sequence[Assertion] = (
    Assertion.FAMILY,
    Assertion.HYPOTHETICAL,
    Assertion.POSSIBLE,
    Assertion.ABSENT,
    Assertion.HISTORICAL,
)
"""Which assertion wins where several apply; present is what is left."""

_RULES: dict[Expression, tuple[Assertion, bool]] = {
    **{_compile(body): (assertion, True) for assertion, body in _BEFORE.items()},
    **{_compile(body): (assertion, False) for assertion, body in _AFTER.items()},
}
"""What a trigger says, and whether it stands before its target."""
_PSEUDO_RULE = _compile(_PSEUDO)
_FAMILY_PSEUDO_RULE = _compile(_FAMILY_PSEUDO)
_STOP_RULE = _compile(_STOP)


@lru_cache(maxsize=256)
def _triggers(sentence: str) -> tuple[tuple[_Trigger, ...], tuple[tuple[int, int], ...]]:
    found = []
    for rule in fitting(sentence, _RULES):
        assertion, forward = _RULES[rule]
        found += [_Trigger(assertion, *m.span(), forward) for m in rule.finditer(sentence)]
    if not found:
        return (), ()
    pseudo = [m.span() for m in _PSEUDO_RULE.finditer(sentence)]
    family_pseudo = [m.span() for m in _FAMILY_PSEUDO_RULE.finditer(sentence)]
    found = [
        t
        for t in found
        if not any(_cancels(span, t) for span in (family_pseudo if t.assertion is Assertion.FAMILY else pseudo))
    ]
    found = [t for t in found if not _inside_wider(t, found)]
    stops = [m.span() for m in _STOP_RULE.finditer(sentence)]
    stops += [m.span() for m in _CLAUSE.finditer(sentence)]
    return tuple(found), tuple(sorted(stops))


def _cancels(pseudo: tuple[int, int], trigger: _Trigger) -> bool:
    """Whether a trigger begins within a pseudo-trigger; one behind its target may also end in it."""
    start, end = pseudo
    if trigger.forward:
        return start <= trigger.start < end
    return start < trigger.end and trigger.start < end


def _inside_wider(trigger: _Trigger, others: Sequence[_Trigger]) -> bool:
    """A trigger inside a longer one of another kind, such as `rule out` in `cannot rule out`, is void."""
    return any(
        other.assertion is not trigger.assertion
        and other.start <= trigger.start
        and trigger.end <= other.end
        and other.end - other.start > trigger.end - trigger.start
        for other in others
    )


def assertion_of(sentence: str, start: int, end: int, listed: Sequence[tuple[int, int]] = ()) -> Assertion:
    """Return how a sentence speaks of the words at start to end.

    Args:
        sentence: One statement.
        start: First character of the target.
        end: First character behind it.
        listed: Places of other findings in the sentence; a list of them carries a trigger along.
    """
    triggers, stops = _triggers(sentence)
    if not triggers:
        return Assertion.PRESENT
    taken = [(start, end), *((s, e) for s, e in listed if e <= start or end <= s)]
    applying = {
        t.assertion
        for t in triggers
        if _begins_before(t, start)
        or (not _inside_phrase(t, taken) and _reaches(t, sentence, start, end, stops, listed))
    }
    return next((a for a in PRECEDENCE if a in applying), Assertion.PRESENT)


def _inside_phrase(trigger: _Trigger, taken: Sequence[tuple[int, int]]) -> bool:
    """`absent breath sounds` is a finding of its own; its `absent` says nothing of what follows."""
    return any(s < trigger.end and trigger.start < e for s, e in taken)


def _begins_before(trigger: _Trigger, start: int) -> bool:
    """`Family history of stroke` is about the family although `history of stroke` is itself a phrase."""
    return trigger.assertion is Assertion.FAMILY and trigger.forward and trigger.start < start < trigger.end


def _reaches(
    trigger: _Trigger,
    sentence: str,
    start: int,
    end: int,
    stops: Sequence[tuple[int, int]],
    listed: Sequence[tuple[int, int]],
) -> bool:
    """Whether a trigger's reach gets to the target: no stop between, not too far, no comma that ends it."""
    low, high = (trigger.end, start) if trigger.forward else (end, trigger.start)
    inside = [(s, e) for s, e in stops if low <= s and e <= high]
    if low > high or any(not _opens_condition(trigger, sentence, stop) for stop in inside):
        return False
    between = sentence[low:high]
    if trigger.forward and sentence[trigger.end - 1] == ":":
        return True
    words = len(between.split())
    if not trigger.forward:
        return words <= _REACH_BACK and "," not in between
    in_list = any(low <= s and e <= high for s, e in listed)
    if sentence[trigger.start : trigger.end].lower() == "non":
        return words == 0 or not between.strip("- ")
    if words > (LIST_REACH if in_list else REACH):
        return False
    return "," not in between or _is_list(trigger, sentence, low, high, in_list)


def _opens_condition(trigger: _Trigger, sentence: str, stop: tuple[int, int]) -> bool:
    """Whether a stop is the subject and verb of a condition, such as `she has` in `if she has`."""
    subject = _SUBJECT.match(sentence[trigger.end : stop[1]])
    return trigger.assertion is Assertion.HYPOTHETICAL and trigger.forward and subject is not None


def _is_list(trigger: _Trigger, sentence: str, low: int, high: int, in_list: bool) -> bool:
    """Whether what stands between a trigger and its target reads as a list and not as a new statement.

    `Denies drugs, flushing, diarrhea` goes on without further ado; after a bare `no` or `if`, a known
    finding must stand in the list, or an `or` before or behind its last item.
    """
    segments = sentence[low:high].split(",")
    said = sentence[trigger.start : trigger.end].lower()
    ends_in_or = _OR.match(sentence[high:]) or _LAST_OR.search(segments[-1])
    if any(_STATEMENT.match(piece) for piece in (*segments[1:], segments[-1] + sentence[high:])):
        return False
    if said == "without" and not ends_in_or:
        return False
    if not _LISTING.search(said) and _DEGREE.match(segments[-1] + sentence[high:]) and not ends_in_or:
        return False
    if trigger.assertion is Assertion.HISTORICAL and not _PAST_HISTORY.search(said):
        return False
    if any(len(_JOINED.sub("", segment).split()) > _ITEM for segment in segments):
        return in_list and len(_JOINED.sub("", segments[-1]).split()) <= _ITEM
    if in_list or _LISTING.search(said):
        return True
    return trigger.assertion in (Assertion.ABSENT, Assertion.HYPOTHETICAL) and ends_in_or is not None
