"""Doing what a task wants done, where its condition holds, and nothing else."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

from wardround.models.clerk.charts import Resource, at, named, reference, texts
from wardround.models.clerk.checking import is_named, objection_to
from wardround.models.clerk.deciding import Decider, name_of
from wardround.models.clerk.doses import Dose
from wardround.models.clerk.glossary import Code
from wardround.models.clerk.intents import Case, Task
from wardround.models.clerk.orders import schedule_of
from wardround.models.clerk.reading import Reader, in_force, is_within
from wardround.models.clerk.resources import fitted, observation, order_resource, plain_number
from wardround.models.clerk.steps import LookUpStep, Stuck, Work, WriteStep, plain
from wardround.models.clerk.units import routes_of
from wardround.models.clerk.values import values_in
from wardround.models.clerk.vitals import vital_named
from wardround.models.clerk.wanted import Act, Cancellation, Correction, Kind, Order, Recording

_MENDABLE = ("400", "422")
"""HTTP statuses that say that a resource has the wrong shape."""


@dataclass
class Doer:
    """Does the acts of one task for one patient."""

    decider: Decider
    patient: str
    """Id of the patient."""
    answers: list[Any] = field(default_factory=list)
    """Answers that what was found asks for."""
    remarks: list[str] = field(default_factory=list)
    is_last_spared: bool | None = None
    """Whether the order before was not made; nothing where there was none."""
    has_written: bool = False

    @property
    def reader(self) -> Reader:
        """Reads the record."""
        return self.decider.reader

    @property
    def task(self) -> Task:
        """The task."""
        return self.reader.task

    def do(self, act: Act) -> Work[None]:
        """Do an act if it is to be done.

        Raises:
            Stuck: Whether or how is not clear, or the record refuses it.
        """
        holds = yield from self.decider.holds(act)
        if not holds:
            self.is_last_spared = True
            self.remarks.append(f"{name_of(act)}: not needed")
            otherwise = self.task.stated.get(Case.OTHERWISE)
            if otherwise is not None and not self.answers:
                self.answers += otherwise
            return
        match act:
            case Order():
                yield from self._order(act)
            case Recording():
                resource = observation(act, self.patient, self._now())
                yield from self._create(resource, act.value)
            case Correction():
                yield from self._correct(act)
            case Cancellation():
                yield from self._cancel(act)

    def _now(self) -> str | None:
        return self.task.now.stamp if self.task.now is not None else None

    def _order(self, order: Order) -> Work[None]:
        if order.goes_with and self.is_last_spared is None:
            raise Stuck(f"{order.words} is to be ordered with something that is not clear")
        if order.goes_with and self.is_last_spared:
            self.remarks.append(f"{order.words}: not ordered, as what it goes with was not")
            return
        dose = self._dose(order)
        if order.kind is Kind.DRUG and dose is None:
            raise Stuck(f"no dose of {order.words} is stated")
        objection = yield from objection_to(order, self.patient, self.reader)
        self.is_last_spared = objection is not None
        if objection is not None:
            self.remarks.append(f"{order.words}: not ordered, {objection.reason}")
            self.answers += objection.answers
            return
        if order.schedule is None and dose is not None and dose.said:
            order = replace(order, schedule=schedule_of(dose.said))
        resource = order_resource(order, self.patient, self._now(), dose)
        if order.code is None and order.kind is Kind.LAB:
            resource["code"] = yield from self._looked_up(order)
        yield from self._create(resource)

    def _dose(self, order: Order) -> Dose | None:
        rule = self.task.rule
        if order.kind is not Kind.DRUG or not order.follows_rule or rule is None:
            return order.dose
        found, level = self.decider.decisive(order)
        dose = rule.dose(self.decider.comparable(found.value, level, rule.units)) if found.value is not None else None
        if dose is None:
            raise Stuck(f"the dosing rule gives no dose of {order.words}")
        return replace(dose, value=plain_number(dose.value), route=dose.route or _route(order))

    def _looked_up(self, order: Order) -> Work[dict[str, Any]]:
        """The code of a laboratory test that the task gives none for; its words where there is not just one."""
        if "lookup_code" not in self.reader.kit.tools:
            return {"text": order.words}
        reply = yield LookUpStep(order.words, self.patient)
        rows = [line.split("\t") for line in reply.text.splitlines()]
        named = [
            r for r in rows if len(r) >= 7 and r[0] == "http://loinc.org" and r[3] == "Observation" and r[6] == "name"
        ]
        loinc = [r[1] for r in named if r[5] == "record"] or [r[1] for r in named]
        if reply.is_error or len(set(loinc)) != 1:
            self.remarks.append(f"{order.words}: ordered by name, no single code is known")
            return {"text": order.words}
        return {"coding": [{"system": "http://loinc.org", "code": loinc[0]}], "text": order.words}

    def _create(self, resource: dict[str, Any], value: str | None = None) -> Work[None]:
        """Create a resource in the shape that the task gives, and once more in R4's where that one is refused.

        Raises:
            Stuck: It is refused, or nothing can be created.
        """
        kind = resource["resourceType"]
        if not self.reader.kit.can_create:
            raise Stuck(f"{kind} cannot be written: nothing on offer creates a resource")
        schema = self.reader.kit.shapes.get(kind)
        shaped = fitted(resource, schema, value) if schema is not None else resource
        reply = yield WriteStep(shaped)
        if reply.is_error and shaped != resource and any(status in reply.text for status in _MENDABLE):
            kept = {name: shaped[name] for name in ("priority",) if name in shaped}
            reply = yield WriteStep({**resource, **kept})
        if reply.is_error:
            raise Stuck(f"{kind} was not written: {plain(reply.text)}")
        self.remarks.append(f"{kind} written for Patient/{self.patient}")
        self.has_written = True

    def _replace(self, resource: Resource) -> Work[None]:
        if not self.reader.kit.can_update:
            raise Stuck(f"{reference(resource)} cannot be changed: nothing on offer replaces a resource")
        version = next(iter(texts(resource, "meta", "versionId")), "")
        reply = yield WriteStep(resource, version or "1")
        if reply.is_error:
            raise Stuck(f"{reference(resource)} was not changed: {plain(reply.text)}")
        self.remarks.append(f"{reference(resource)} changed")
        self.has_written = True

    def _correct(self, act: Correction) -> Work[None]:
        since, until = yield from self.reader.bounds(act.of.window, self.patient)
        vital = vital_named(act.of.words)
        code = act.of.code.token if act.of.code is not None else vital.loinc if vital is not None else None
        coded = (("code", code),) if code is not None else ()
        found = yield from self.reader.every("Observation", ("patient", self.patient), *coded)
        called = Code("loinc", act.of.words, code) if act.of.code is None and code is not None else act.of.code
        values = [v for v in values_in(found, act.of.words, called) if is_within(v, since, until)]
        meant = {v.id: v for v in values if act.wrong is None or v.number == act.wrong}
        wrong = f" of {act.wrong:g}" if act.wrong is not None else ""
        if not meant and self._is_stated_needless():
            return
        if len(meant) != 1:
            raise Stuck(f"the record holds {len(meant)} values of {act.of.words}{wrong} {act.of.window.words}, not one")
        resource = next(r for r in found if r.get("id") in meant)
        yield from self._replace(_corrected(resource, act))

    def _is_stated_needless(self) -> bool:
        """Whether the task says what to answer where there is nothing to change; then that is answered."""
        cases = (Case.DUPLICATE, Case.ABSENT, Case.OTHERWISE)
        stated = next((self.task.stated[case] for case in cases if case in self.task.stated), None)
        self.answers += stated or ()
        return stated is not None

    def _cancel(self, act: Cancellation) -> Work[None]:
        kinds = (
            ("MedicationRequest", "ServiceRequest")
            if act.kind is None
            else (("MedicationRequest",) if act.kind is Kind.DRUG else ("ServiceRequest",))
        )
        meant: list[Resource] = []
        for kind in kinds:
            found = yield from self.reader.every(kind, ("patient", self.patient), ("status", "active"))
            meant += [resource for resource in in_force(found) if is_named(resource, act.words)]
        if not meant and self._is_stated_needless():
            return
        if len(meant) != 1:
            listed = ", ".join(f"{reference(r)} {named(r)}" for r in meant[:5])
            raise Stuck(f"{len(meant)} active orders are called {act.words!r}{': ' + listed if listed else ''}")
        changed = dict(copy.deepcopy(meant[0]))
        is_service = changed["resourceType"] == "ServiceRequest"
        changed["status"] = "revoked" if is_service else "cancelled" if act.status == "revoked" else act.status
        yield from self._replace(changed)


def _route(order: Order) -> str | None:
    said = routes_of(f"{order.words} {order.code.name if order.code is not None else ''}")
    return said[0] if len(said) == 1 else None


def _corrected(resource: Resource, act: Correction) -> Resource:
    """The Observation with the right value, or marked as entered in error."""
    changed: dict[str, Any] = copy.deepcopy(dict(resource))
    if act.right is None:
        return {**changed, "status": "entered-in-error"}
    parts = [changed, *at(changed, "component")]
    wrong = [
        p
        for p in parts
        if at(p, "valueQuantity", "value") and (act.wrong is None or at(p, "valueQuantity", "value")[0] == act.wrong)
    ]
    if len(wrong) != 1:
        raise Stuck(f"{reference(resource)} holds no single number that could be put right")
    wrong[0]["valueQuantity"]["value"] = plain_number(act.right)
    return {**changed, "status": "corrected"}
