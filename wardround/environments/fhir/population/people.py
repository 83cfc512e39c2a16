"""Who a patient is: name, sex, dates, address, and what about a person does not come and go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wardround.environments.fhir.population import shares
from wardround.environments.fhir.population.draws import from_age, pick, stream, weighted
from wardround.environments.fhir.population.resources import DAY, LOCAL, YEAR, Json, day, instant, term, to
from wardround.environments.fhir.population.schema import Culture, People
from wardround.environments.fhir.population.tables import Tables


@dataclass(frozen=True)
class Identity:
    """What two patients can have in common."""

    sex: str
    given: tuple[str, str]
    family: str
    culture: Culture


@dataclass(frozen=True)
class Person:
    """A patient."""

    number: int
    id: str
    identity: Identity
    birth: int
    """Midnight of the day of birth, in seconds since 1970."""
    death: int | None
    height: float
    """Place among people of the same age and sex, in standard deviations."""
    traits: frozenset[str]
    """Findings of the knowledge base that do not come and go."""

    @property
    def sex(self) -> str:
        """`female` or `male`."""
        return self.identity.sex

    def age(self, at: float) -> float:
        """Years at a moment."""
        return (at - self.birth) / YEAR


def identity(tables: Tables, seed: int, number: int) -> Identity:
    """Return sex and name of a patient; every so many patients have those of the patient before."""
    is_namesake = number % shares.NAMESAKE_EVERY == shares.NAMESAKE_EVERY - 1
    return draw_identity(tables.people, stream(seed, number - is_namesake, 1))


def draw_identity(people: People, rng: np.random.Generator) -> Identity:
    """Draw sex and a name; names that come first in their list are the commoner ones."""
    sex = "female" if rng.random() < people.female else "male"
    culture = weighted(rng, {row: row.weight for row in people.cultures})
    given = culture.female if sex == "female" else culture.male
    return Identity(
        sex=sex,
        given=(given[int(rng.random() ** 1.6 * len(given))], pick(rng, people.stars)),
        family=culture.family[int(rng.random() ** 1.6 * len(culture.family))],
        culture=culture,
    )


def draw_person(tables: Tables, seed: int, number: int, rng: np.random.Generator, *, first: int, end: int) -> Person:
    """Draw a patient.

    Args:
        tables: The tables.
        seed: Seed of the population.
        number: Which patient.
        rng: The patient's stream.
        first: Where the years of the record begin, in seconds since 1970.
        end: Where they end.
    """
    people = tables.people
    who = identity(tables, seed, number)
    youngest = weighted(rng, people.ages)
    older = [start for start in people.ages if start > youngest]
    age = youngest + rng.random() * (min(older, default=people.oldest) - youngest)
    birth = int((end - max(age, 0.01) * YEAR) // DAY * DAY)
    death = None
    if rng.random() < shares.DECEASED * age / _MEAN_AGE:
        begun = max(first, birth)
        death = int(begun + (0.2 + 0.8 * rng.random()) * (end - begun))
    backgrounds = {trait: tables.kb.findings[trait] for trait in people.traits}
    return Person(
        number=number,
        id=f"p{number:06d}",
        identity=who,
        birth=birth,
        death=death,
        height=float(np.clip(rng.standard_normal(), -2.5, 2.5)),
        traits=frozenset(
            trait
            for trait, entry in backgrounds.items()
            if rng.random() < entry.background and entry.sex in (None, who.sex)
        ),
    )


_MEAN_AGE = 51.0
"""About the mean age that people.yaml gives; it keeps the share of the deceased what it is named to be."""


def height(people: People, person: Person, at: float) -> float:
    """Return a person's height in cm."""
    curve = people.height.female if person.sex == "female" else people.height.male
    median = np.interp(person.age(at), list(curve), list(curve.values()))
    return round(float(median) * (1.0 + people.height.spread * person.height), 1)


def patient(tables: Tables, person: Person, rng: np.random.Generator, *, end: int, practitioner: str) -> Json:
    """Write the Patient resource.

    Args:
        tables: The tables.
        person: The patient.
        rng: The patient's stream.
        end: The last moment of the record.
        practitioner: Id of the family doctor.
    """
    town = pick(rng, tables.people.towns)
    resource: Json = {
        "resourceType": "Patient",
        "id": person.id,
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]},
        "identifier": [{"use": "usual", "type": term("v2-0203", "MR"), "system": LOCAL + "mrn", "value": mrn(person)}],
        "active": True,
        "name": _names(person, rng),
        "telecom": _telecom(person, rng),
        "gender": person.sex,
        "birthDate": day(person.birth),
        "address": [
            {
                "use": "home",
                "line": [f"{int(rng.integers(1, 240))} {pick(rng, tables.people.streets)}"],
                "city": town.city,
                "state": town.district,
                "postalCode": town.postal,
                "country": "Examplia",
            }
        ],
        "communication": [
            {
                "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": person.identity.culture.language}]},
                "preferred": True,
            }
        ],
        "generalPractitioner": [to("Practitioner", practitioner)],
        "managingOrganization": to("Organization", "org-hospital"),
    }
    if person.death is not None:
        resource["deceasedDateTime"] = instant(person.death)
    age = person.age(person.death or end)
    if age >= min(tables.people.marital):
        status = weighted(rng, from_age(tables.people.marital, age))
        resource["maritalStatus"] = term("v3-MaritalStatus", status)
    return resource


def mrn(person: Person) -> str:
    """Return the medical record number: the patient's number spread over seven digits, so that it shows no order."""
    return f"W{(person.number * 7_919 + 1_047_291) % 10_000_000:07d}"


def _names(person: Person, rng: np.random.Generator) -> list[Json]:
    who = person.identity
    names: list[Json] = [
        {
            "use": "official",
            "text": f"{' '.join(who.given)} {who.family}",
            "family": who.family,
            "given": list(who.given),
        }
    ]
    if rng.random() < shares.OTHER_NAME:
        if who.sex == "female" and rng.random() < 0.6:
            names.append({"use": "maiden", "family": pick(rng, who.culture.family), "given": [who.given[0]]})
        else:
            names.append({"use": "nickname", "given": [who.given[0][:3]]})
    return names


def _telecom(person: Person, rng: np.random.Generator) -> list[Json]:
    telecom: list[Json] = [{"system": "phone", "value": f"555-01{int(rng.integers(10_000)):04d}", "use": "mobile"}]
    if rng.random() < 0.6:
        telecom.append({"system": "email", "value": f"{person.id}@patients.example", "use": "home"})
    return telecom
