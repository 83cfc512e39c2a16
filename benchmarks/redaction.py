"""What redaction leaves standing of identifiers, and what it destroys of clinical content.

Notes of synthetic patients, which name nobody, get sentences put in that name the patient, relatives, clinicians,
numbers, places and dates in many spellings, and clinical sentences that look like identifiers: eponyms, fractions,
doses. A third of the patients has the name of an eponym (Graves, Crohn, ...), a third that of a plain word (May, Rose,
...), the rest keeps its own. Each redactor sees the same notes; `nothing` and `naive`, which blanks all capitalised
words and all numbers, are the two ends. The sentences were written by whoever wrote the rules: another hand's notes
will show more leaks than these. Prints one JSON document.

    python benchmarks/redaction.py --patients 60 [--model en_core_web_sm]
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from wardround.environments.fhir.population.generate import generate
from wardround.knowledge.clinician import reference_clinician
from wardround.tools.fhir.record import read_record
from wardround.trace.redaction import PatternRedactor, Redactor, StructuredRedactor, redact_text
from wardround.trace.redaction.classes import Identifier
from wardround.trace.redaction.edits import Edit
from wardround.trace.redaction.folding import folded
from wardround.trace.redaction.presidio import PresidioRedactor

KEY = b"a key for benchmarks, known to all"
EPONYMS = ("Graves", "Crohn", "Cushing", "Parkinson", "Wegener", "Hodgkin", "Addison", "Bell", "Paget", "Wilson")
WORDS = ("May", "Rose", "Grant", "Long", "Young", "White", "Field", "Rice", "Hope", "Wood")
NOTES = 4
"""Notes of each patient."""
STRATA = ("own_name", "eponym", "word")

CLINICAL = (
    ("Known Graves' disease, on carbimazole 20 mg.", "Graves' disease|20 mg"),
    ("Crohn's disease since childhood, adalimumab 40 mg every 2 weeks.", "Crohn's disease|40 mg|2 weeks"),
    ("No features of Cushing syndrome.", "Cushing syndrome"),
    ("Parkinson's disease, levodopa 100 mg three times a day.", "Parkinson's disease|100 mg"),
    (
        "Granulomatosis of the Wegener type was considered; Wegener granulomatosis is unlikely.",
        "Wegener granulomatosis",
    ),
    ("Hodgkin lymphoma in remission.", "Hodgkin lymphoma"),
    ("Murphy sign negative, Babinski reflex flexor, Romberg test normal.", "Murphy sign|Babinski reflex|Romberg test"),
    ("Bell's palsy on the left, House-Brackmann grade 3.", "Bell's palsy|grade 3"),
    ("Addison's disease is treated with hydrocortisone 20 mg.", "Addison's disease|20 mg"),
    ("Wilson disease excluded; ceruloplasmin 0.28 g/L.", "Wilson disease|0.28 g/L"),
    ("Paget disease of bone, ALP 410 U/L.", "Paget disease|410 U/L"),
    ("Pain 5/10, power 4/5 in both legs, GCS 15/15.", "5/10|4/5|15/15"),
    ("Blood pressure 148/92 mmHg, pulse 96 /min, SpO2 93 %.", "148/92 mmHg|96 /min|93 %"),
    ("Takes 1/2 tablet of bisoprolol 2.5 mg and furosemide 40 mg.", "1/2 tablet|2.5 mg|40 mg"),
    ("Platelets 250000 /uL, white cells 11.2, CK 5550101 U/L.", "250000 /uL|11.2|5550101 U/L"),
    ("Sodium 138 mmol/L, creatinine 88 umol/L, HbA1c 48 mmol/mol.", "138 mmol/L|88 umol/L|48 mmol/mol"),
    ("The temperature rose to 38.9; it may rise again.", "temperature rose|38.9|may rise"),
    (
        "White blood cells in the urine; long QT on the ECG; small bowel normal.",
        "White blood cells|long QT|small bowel",
    ),
    ("Lithium (Li) 0.8 mmol/L, ANA positive 1:160, anti-La negative.", "0.8 mmol/L|ANA positive|1:160"),
    ("Rose spots on the trunk; May be typhoid.", "Rose spots"),
)
"""Sentences with what of each has to be there afterwards, word for word."""


@dataclass(frozen=True)
class Planted:
    """A note with what was put in."""

    text: str
    identifiers: tuple[tuple[str, str], ...]
    """Class and words."""
    clinical: tuple[str, ...]
    dates: tuple[tuple[date, str], ...]
    rest: str
    """The note without the sentences that identify: `rose` and Graves' disease may stay."""
    ideal: str
    """The note with exactly the identifiers blanked: a finding read from a name is none."""


@dataclass
class Patient:
    """A synthetic patient with a record and planted notes."""

    stratum: str
    shared: list[dict[str, Any]]
    record: list[dict[str, Any]]
    notes: list[Planted] = field(default_factory=list)


def patients(count: int, seed: int) -> list[Patient]:
    shared: list[dict[str, Any]] = []
    records: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for resource in generate(count, seed):
        if re.match(r"p\d{6}", resource["id"]):
            records[resource["id"][:7]].append(resource)
        else:
            shared.append(resource)
    rng = random.Random(seed)
    found = []
    for n, record in enumerate(records.values()):
        stratum = STRATA[n % 3]
        patient = Patient(stratum, shared, renamed(record, stratum, n))
        patient.notes = planted(patient, rng)
        found.append(patient)
    return found


def renamed(record: list[dict[str, Any]], stratum: str, n: int) -> list[dict[str, Any]]:
    if stratum == "own_name":
        return record
    family = (EPONYMS if stratum == "eponym" else WORDS)[n // 3 % 10]
    patient = json.loads(json.dumps(record[0]))
    name = patient["name"][0]
    name["family"] = family
    name["text"] = f"{' '.join(name['given'])} {family}"
    return [patient, *record[1:]]


def texts(record: Iterable[Mapping[str, Any]]) -> list[tuple[date, str]]:
    return [
        (date.fromisoformat(r["date"][:10]), base64.b64decode(r["content"][0]["attachment"]["data"]).decode())
        for r in record
        if r["resourceType"] == "DocumentReference"
    ]


def planted(patient: Patient, rng: random.Random) -> list[Planted]:
    notes = texts(patient.record)
    return [plant(patient, day, text, rng) for day, text in rng.sample(notes, min(NOTES, len(notes)))]


def plant(patient: Patient, day: date, text: str, rng: random.Random) -> Planted:
    put = identifying(patient, day, rng)
    clinical = rng.sample(CLINICAL, 6)
    sentences = [(sentence, ids, (), dates) for sentence, ids, dates in put]
    sentences += [(sentence, (), tuple(kept.split("|")), ()) for sentence, kept in clinical]
    rng.shuffle(sentences)
    return Planted(
        text + "\n" + " ".join(sentence for sentence, *_ in sentences),
        tuple(identifier for _, ids, _, _ in sentences for identifier in ids),
        tuple(kept for _, _, kept_all, _ in sentences for kept in kept_all),
        tuple(d for _, _, _, dates in sentences for d in dates),
        text + "\n" + " ".join(sentence for sentence, _ in clinical),
        text + "\n" + " ".join(blanked(sentence, [said for _, said in ids]) for sentence, ids, *_ in sentences),
    )


def blanked(sentence: str, said: Iterable[str]) -> str:
    for words in said:
        sentence = sentence.replace(words, "[X]")
    return sentence


Sentence = tuple[str, tuple[tuple[str, str], ...], tuple[tuple[date, str], ...]]


def identifying(patient: Patient, day: date, rng: random.Random) -> list[Sentence]:
    who, staff = patient.record[0], [r for r in patient.shared if r["resourceType"] == "Practitioner"]
    doctor = rng.choice(staff)["name"][0]
    sentences = [*naming(who, rng), *numbered(who, rng), *dated(who, day, rng)]
    family = doctor["family"]
    sentences.append((f"Discussed with Dr. {family}.", (("clinician", family),), ()))
    sentences.append((f"Signed: {doctor['given'][0]} {family}, MD.", (("clinician", family),), ()))
    return sentences


def naming(who: Mapping[str, Any], rng: random.Random) -> list[Sentence]:
    name = who["name"][0]
    family, given = name["family"], name["given"][0]
    plain = folded(family).text.title()
    title = "Mr." if who["gender"] == "male" else "Mrs."
    forms = [
        (f"{given} {family} was seen today.", family),
        (f"Patient: {family}, {given}.", family),
        (f"{title} {family} denies chest pain.", family),
        (f"{given[0]}. {family} is known to us.", family),
        (f"{family.upper()} {given.upper()} ATTENDED ALONE.", family.upper()),
        (f"{given} {plain}'s daughter was present.", plain),
        (f"{family} reports feeling well.", family),
        (f"We saw {given} with her notes.", given),
        (f"Letter to {given} {' '.join(name['given'][1:])} {family}.", family),
        (f"{given.lower()} {family.lower()} rang twice.", family.lower()),
    ]
    return [(sentence, (("name", said),), ()) for sentence, said in rng.sample(forms, 4)]


def numbered(who: Mapping[str, Any], rng: random.Random) -> list[Sentence]:
    mrn = who["identifier"][0]["value"]
    phone = who["telecom"][0]["value"]
    digits = re.sub(r"\D", "", phone)
    other = f"{digits[:3]} {digits[3:6]} {digits[6:]}"
    address = who["address"][0]
    found: list[Sentence] = [
        rng.choice(
            [(f"MRN {mrn}.", (("record_number", mrn),), ()), (f"Record {mrn} reviewed.", (("record_number", mrn),), ())]
        ),
        rng.choice(
            [(f"Phone {phone}.", (("phone", phone),), ()), (f"Can be reached at {other}.", (("phone", other),), ())]
        ),
        (
            f"Lives at {address['line'][0]}, {address['city']}.",
            (("place", address["line"][0]), ("place", address["city"])),
            (),
        ),
        (f"See Patient/{who['id']}.", (("record_number", who["id"]),), ()),
    ]
    mails = [t["value"] for t in who["telecom"] if t["system"] == "email"]
    return found + [(f"E-mail {mail}.", (("email", mail),), ()) for mail in mails]


def dated(who: Mapping[str, Any], day: date, rng: random.Random) -> list[Sentence]:
    forms: list[Callable[[date], str]] = [
        lambda d: d.isoformat(),
        lambda d: f"{d.day} {d:%B} {d.year}",
        lambda d: f"{d:%B} {d.day}, {d.year}",
        lambda d: f"{d.day} {d:%b} {d.year}",
    ]
    later = day - timedelta(days=rng.randint(3, 300))
    first, second = rng.choice(forms)(day), rng.choice(forms)(later)
    born = date.fromisoformat(who["birthDate"])
    birth = rng.choice(forms)(born)
    found: list[Sentence] = [
        (
            f"Seen on {first}, before that on {second}.",
            (("date", first), ("date", second)),
            ((day, first), (later, second)),
        ),
        (f"Date of birth {birth}.", (("birth_date", birth),), ()),
    ]
    years = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    if years > 90:
        found.append((f"{years}-year-old.", (("age_over_89", f"{years}-year-old"),), ()))
    return found


class Naive:
    """Blanks every capitalised word and every number."""

    _WORDS = re.compile(r"\b[A-ZÀ-Þ]\w*|\d+(?:[.,/:-]\d+)*")

    def edits(self, text: str) -> list[Edit]:
        """Return all of them."""
        return [Edit(m.start(), m.end(), Identifier.OTHER, "[X]") for m in self._WORDS.finditer(text)]


Make = Callable[[Patient], Sequence[Redactor]]


def redactors(model: str | None) -> dict[str, Make]:
    forms = PresidioRedactor()
    found: dict[str, Make] = {
        "nothing": lambda p: (),
        "naive": lambda p: (Naive(),),
        "structured": lambda p: (learned(p),),
        "patterns": lambda p: (PatternRedactor(),),
        "structured+patterns": lambda p: (learned(p, PatternRedactor()),),
        "presidio_forms": lambda p: (forms,),
        "structured+patterns+presidio_forms": lambda p: (learned(p, PatternRedactor(), forms),),
    }
    if model is not None:
        names = PresidioRedactor(model)
        found["presidio_model"] = lambda p: (names,)
        found["structured+patterns+presidio_model"] = lambda p: (learned(p, PatternRedactor(), names),)
    return found


def learned(patient: Patient, *also: Redactor) -> StructuredRedactor:
    return StructuredRedactor([*patient.shared, *patient.record], key=KEY, also=also)


Counts = dict[str, list[int]]
"""By measure: how many, of how many."""


def measure(patient: Patient, make: Make) -> Counts:
    counts: Counts = defaultdict(lambda: [0, 0])
    using = make(patient)
    reader = reference_clinician().reader
    for note in patient.notes:
        done = redact_text(note.text, using).value
        for kind, said in note.identifiers:
            left = undated(done) if kind == "name" else done
            is_left = times_said(said, left) > times_said(said, note.rest)
            add(counts, f"leaked:{kind}", is_left)
            if kind == "name":
                add(counts, f"leaked:name_of_{patient.stratum}", is_left)
        for said in note.clinical:
            add(counts, "kept:clinical_phrases", is_said(said, done))
            if any(e in said for e in EPONYMS) or re.search(r"Murphy|Babinski|Romberg", said):
                add(counts, "kept:eponyms", is_said(said, done))
            elif re.search(r"\d", said):
                add(counts, "kept:values_doses_fractions", is_said(said, done))
        before, after = facts(reader, note.ideal), facts(reader, done)
        counts["kept:findings_read"][0] += (before & after).total()
        counts["kept:findings_read"][1] += before.total()
        counts["new_findings_per_finding"][0] += (after - before).total()
        counts["new_findings_per_finding"][1] += before.total()
        if note.dates:
            add(counts, "kept:date_intervals", interval_is_kept(note, done))
    return counts


def add(counts: Counts, name: str, is_so: bool) -> None:
    counts[name][0] += is_so
    counts[name][1] += 1


def is_said(said: str, text: str) -> bool:
    return times_said(said, text) > 0


def undated(text: str) -> str:
    """Leave out dates: one that was moved into May names nobody."""
    return re.sub(r"\b(?:\d{1,2} May \d{4}|May \d{1,2}, \d{4})\b", "", text)


def times_said(said: str, text: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(said)}(?!\w)", text))


def facts(reader: Any, text: str) -> Counter[tuple[Any, ...]]:
    return Counter({(f.code, f.assertion, f.value, f.unit, f.days) for f in reader.read(text)})


_WRITTEN = (
    (r"\d{4}-\d\d-\d\d", "%Y-%m-%d"), (r"\d{1,2} [A-Z][a-z]{3,8} \d{4}", "%d %B %Y"),
    (r"[A-Z][a-z]{2,8} \d{1,2}, \d{4}", "%B %d, %Y"), (r"\d{1,2} [A-Z][a-z]{2} \d{4}", "%d %b %Y"),
)  # fmt: skip


def interval_is_kept(note: Planted, done: str) -> bool:
    match = re.search(r"Seen on (?P<a>.+?), before that on (?P<b>.+?)\.(?:\s|$)", done)
    days = [read_date(match[group]) for group in ("a", "b")] if match else [None]
    if None in days:
        return False
    return days[0] - days[1] == note.dates[0][0] - note.dates[1][0]  # type: ignore[operator]


def read_date(text: str) -> date | None:
    for pattern, form in _WRITTEN:
        if re.fullmatch(pattern, text):
            try:
                return datetime.strptime(text, form).date()
            except ValueError:
                continue
    return None


def records(patient: Patient) -> Counts:
    """What the whole record gives away and keeps, element by element."""
    counts: Counts = defaultdict(lambda: [0, 0])
    redactor = learned(patient, PatternRedactor())
    done = [redactor.resource(r).value for r in patient.record]
    blob = "\n".join(words_of(r) for r in done)
    who = patient.record[0]
    known = {
        "name": [*who["name"][0]["given"], who["name"][0]["family"]],
        "record_number": [who["identifier"][0]["value"], who["id"]],
        "phone": [who["telecom"][0]["value"]],
        "email": [t["value"] for t in who["telecom"] if t["system"] == "email"],
        "place": [who["address"][0]["line"][0], who["address"][0]["city"], who["address"][0]["postalCode"]],
    }
    rest = "\n".join(words_of(r) for r in patient.record[1:])  # White cells are nobody's name
    add(counts, "leaked:birth_date", done[0]["birthDate"] == who["birthDate"])
    for kind, values in known.items():
        for value in values:
            if kind != "name" or not is_said(value, rest):
                add(counts, f"leaked:{kind}", is_said(value, blob))
    before, after = quantities(patient.record), quantities(done)
    counts["kept:quantities"] = [(before & after).total(), before.total()]
    clinician = reference_clinician()
    read = [read_record(r, clinician, age=None, sex=None) for r in (patient.record, done)]
    had, has = (Counter((f.code, f.assertion, f.value, f.unit) for f in chart.findings) for chart in read)
    counts["kept:coded_findings_read"] = [(had & has).total(), had.total()]
    moved = [
        (r.get("effectiveDateTime"), d.get("effectiveDateTime")) for r, d in zip(patient.record, done, strict=True)
    ]
    shifts = [date.fromisoformat(b[:10]) - date.fromisoformat(a[:10]) for a, b in moved if a and b]
    counts["kept:date_intervals"] = [sum(s == shifts[0] for s in shifts), len(shifts)]
    return counts


def words_of(resource: Mapping[str, Any]) -> str:
    attachments = resource.get("content") if resource["resourceType"] == "DocumentReference" else None
    notes = [base64.b64decode(c["attachment"]["data"]).decode() for c in attachments or () if "data" in c["attachment"]]
    return json.dumps(resource, ensure_ascii=False) + "\n".join(notes)


def quantities(resources: Iterable[Mapping[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter(
        (q["value"], q.get("unit"))
        for r in resources
        for q in [r.get("valueQuantity"), *(c.get("valueQuantity") for c in r.get("component", ()))]
        if q
    )


def summed(counted: Sequence[Counts], seed: int) -> dict[str, Any]:
    names = sorted({name for counts in counted for name in counts})
    return {
        name: share(np.array([counts.get(name, [0, 0]) for counts in counted], dtype=float), seed) for name in names
    }


def share(rows: np.ndarray, seed: int) -> dict[str, Any]:
    """Share with a 95 % interval by resampling patients; at 0 or 1 Wilson's over the patients, who are fewer."""
    hits, of = rows.sum(axis=0)
    if of == 0:
        return {"share": None, "n": 0}
    p, n = hits / of, int((rows[:, 1] > 0).sum())
    if p in (0.0, 1.0):
        edge = 1.96**2 / (n + 1.96**2)
        low, high = (0.0, edge) if p == 0.0 else (1.0 - edge, 1.0)
    else:
        draws = np.random.default_rng(seed).integers(0, len(rows), (2000, len(rows)))
        totals = rows[draws].sum(axis=1)
        low, high = np.quantile(totals[:, 0] / np.maximum(totals[:, 1], 1), [0.025, 0.975])
    return {
        "share": round(p, 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "n": int(of),
        "patients": n,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--model", help="an installed spaCy model for Presidio")
    arguments = parser.parse_args()
    drawn = patients(arguments.patients, arguments.seed)
    result: dict[str, Any] = {
        "patients": len(drawn),
        "notes": sum(len(p.notes) for p in drawn),
        "seed": arguments.seed,
        "model": arguments.model,
        "notes_with_planted_identifiers": {},
    }
    for name, make in redactors(arguments.model).items():
        started = time.perf_counter()
        counted = [measure(patient, make) for patient in drawn]
        found = summed(counted, arguments.seed)
        result["notes_with_planted_identifiers"][name] = {
            "seconds_reading_included": round(time.perf_counter() - started, 1), **found,
        }  # fmt: skip
    result["records_structured+patterns"] = summed([records(p) for p in drawn], arguments.seed)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
