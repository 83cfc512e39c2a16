"""Answering what is asked of the patient's person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from wardround.models.clerk.asked import Demographic
from wardround.models.clerk.charts import Resource, at, texts
from wardround.models.clerk.found import Found, absent
from wardround.models.clerk.intents import Task
from wardround.models.clerk.steps import Stuck


def person_of(patient: Resource, question: Demographic, task: Task) -> Found:
    """Return what a question about a patient's person comes to.

    Raises:
        Stuck: The task does not say what day it is, and an age is asked for.
    """
    if question.item == "age":
        return _age(patient, task)
    found = _ITEMS[question.item](patient)
    return Found((found,)) if found else absent(f"the patient's {question.item}", task)


def _age(patient: Resource, task: Task) -> Found:
    now = task.time
    if now is None:
        raise Stuck("the task does not say what day it is, which an age needs")
    written = next(iter(texts(patient, "birthDate")), "")
    try:
        born = date.fromisoformat(written)
    except ValueError:
        return absent(f"the patient's full date of birth ({written or 'none'})", task)
    return Found((now.year - born.year - ((now.month, now.day) < (born.month, born.day)),))


def _telecom(system: str) -> Callable[[Resource], str]:
    def read(patient: Resource) -> str:
        found = [contact for contact in at(patient, "telecom") if contact.get("system") == system]
        return next((text for contact in found for text in texts(contact, "value")), "")

    return read


def _address(patient: Resource) -> str:
    for address in at(patient, "address"):
        parts = [
            *texts(address, "line"),
            *(t for m in ("city", "state", "postalCode", "country") for t in texts(address, m)),
        ]
        return next(iter(texts(address, "text")), "") or ", ".join(parts)
    return ""


def _name(patient: Resource) -> str:
    names = at(patient, "name")
    best = next((name for name in names if name.get("use") == "official"), names[0] if names else {})
    return " ".join([*texts(best, "given"), *texts(best, "family")]) or next(iter(texts(best, "text")), "")


_ITEMS: Mapping[str, Callable[[Resource], str]] = {
    "gender": lambda patient: next(iter(texts(patient, "gender")), ""),
    "birthDate": lambda patient: next(iter(texts(patient, "birthDate")), ""),
    "phone": _telecom("phone"),
    "email": _telecom("email"),
    "address": _address,
    "name": _name,
}
