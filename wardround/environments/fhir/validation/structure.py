"""A walk over a resource that finds all that breaks the R4 definitions: members, JSON types, codes, references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from wardround.environments.fhir.definitions import definitions
from wardround.environments.fhir.outcome import Issue
from wardround.environments.fhir.validation.primitives import EMPTY, Fault
from wardround.environments.fhir.validation.references import named_type, pointed_type, unknown_type, wrong_target
from wardround.environments.fhir.validation.shapes import Member, Shape, shape_of

_NOT_OBJECT: Final = "must be a JSON object"
_CODES_SHOWN: Final = 12


@dataclass
class _Local:
    """What is said of the contained resources of one resource: who they are, and who points to them."""

    root: str = ""
    """The type of the resource that contains them."""
    contained: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By id, the type and place of each."""
    pointers: list[tuple[str, str, Member]] = field(default_factory=list)
    """References that begin with `#`: the id, the place, and the member."""
    named: set[str] = field(default_factory=set)
    """Ids that any reference or address names."""
    to_root: set[str] = field(default_factory=set)
    """Places of contained resources that point back to the one they are in."""


class Walk:
    """One pass over a resource; the issues are there when `resource` has returned."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.is_sound = True
        """Every value is of the JSON type that is due, so that rules may read the members they speak of."""
        self.types: set[str] = set()
        """The resource types met, contained ones too."""
        self.judged: list[tuple[Shape, Mapping[str, Any], str]] = []
        """The objects that have invariants, with their places."""
        self._local = _Local()
        self._inside: str | None = None
        self._may_search = False

    def resource(self, node: object, path: str) -> None:
        """Walk a resource that stands on its own: at the top, or as an entry of a Bundle."""
        outer = self._local, self._inside, self._may_search
        root = node.get("resourceType") if isinstance(node, Mapping) else None
        self._local, self._inside = _Local(root=str(root)), None
        self._resource(node, path)
        self._settle()
        self._local, self._inside, self._may_search = outer

    def _fault(self, code: str, what: str, at: str) -> None:
        self.issues.append(Issue("error", code, what, (at,) if at else ()))

    def _misshapen(self, what: str, at: str, code: str = "structure") -> None:
        self.is_sound = False
        self._fault(code, what, at)

    def _resource(self, node: object, path: str) -> None:
        if not isinstance(node, Mapping):
            return self._misshapen(_NOT_OBJECT, path)
        name = node.get("resourceType")
        if not isinstance(name, str):
            return self._misshapen("must be the name of a resource type", _type_at(path), "required")
        if name not in definitions().resources:
            return self._misshapen(unknown_type(name), _type_at(path))
        self.types.add(name)
        path = path or name
        if name == "Bundle":
            self._may_search = node.get("type") == "transaction"
        self._group(node, shape_of(name), path)
        return None

    def _group(self, node: Mapping[str, Any], shape: Shape, path: str) -> None:
        members = shape.members
        chosen: dict[str, str] = {}
        for key, value in node.items():
            member = members.get(key)
            if member is None:
                member = self._other(node, shape, key, value, path)
                if member is None:
                    continue
            else:
                at = f"{path}.{key}"
                if member.is_list:
                    self._list(member, value, at, node.get(f"_{key}"))
                elif isinstance(value, list):
                    self._misshapen("must be a single value, not a list", at)
                else:
                    self._one(member, value, at)
            if member.choice is not None:
                first = chosen.setdefault(member.choice, member.name)
                if first != member.name:
                    self._fault("structure", f"only one {member.choice}[x] may be given", f"{path}.{member.name}")
        for label, names in shape.required:
            if not any(name in node for name in names):
                self._missing(label, names, path)
        if shape.invariants:
            self.judged.append((shape, node, path))

    def _missing(self, label: str, names: tuple[str, ...], path: str) -> None:
        plain = [name for name in names if not name.startswith("_")]
        choice = f": give one of {', '.join(plain)}" if len(plain) > 1 else ""
        self._fault("required", f"required element missing{choice}", f"{path}.{label}")

    def _other(self, node: Mapping[str, Any], shape: Shape, key: str, value: object, path: str) -> Member | None:
        """Judge a member that no definition names; give the primitive whose extensions it holds, if it does."""
        if key == "resourceType" and shape.is_resource:
            return None
        member = shape.members.get(key[1:]) if key.startswith("_") else None
        if member is None or member.check is None:
            self._fault("structure", f"unknown element{_hint(key, shape)}", f"{path}.{key}")
            return None
        at = f"{path}.{member.name}"
        beside = node.get(member.name)
        if not member.is_list:
            self._extensions(value, at, has_value=beside is not None)
        elif not isinstance(value, list):
            self._misshapen("must be a list", at)
        elif not value:
            self._fault("structure", EMPTY, at)
        elif isinstance(beside, list) and len(beside) != len(value):
            self._fault("structure", f"{member.name} and _{member.name} must be of the same length", at)
        else:
            self._twins(value, beside, at)
        return member

    def _twins(self, twins: list[Any], beside: object, at: str) -> None:
        values = beside if isinstance(beside, list) else [None] * len(twins)
        for place, (twin, value) in enumerate(zip(twins, values, strict=True)):
            if twin is not None:
                self._extensions(twin, f"{at}[{place}]", has_value=value is not None)
            elif value is None:
                self._fault("structure", "must be a value or have an extension", f"{at}[{place}]")

    def _extensions(self, twin: object, at: str, *, has_value: bool) -> None:
        """Judge the id and extensions of a primitive."""
        if not isinstance(twin, Mapping):
            self._misshapen("the id and extensions of a primitive must be a JSON object", at)
        elif not twin:
            self._fault("structure", EMPTY, at)
        elif not has_value and not twin.keys() - {"id"}:
            self._fault("invariant", "ele-1: must have a value or an extension", at)
        else:
            self._group(twin, shape_of("Element"), at)

    def _list(self, member: Member, value: object, at: str, twins: object) -> None:
        if not isinstance(value, list):
            return self._misshapen("must be a list", at)
        if not value:
            return self._fault("structure", EMPTY, at)
        has_twins = member.check is not None and isinstance(twins, list)
        for place, item in enumerate(value):
            if item is None and has_twins:
                continue  # judged with its twin
            self._one(member, item, f"{at}[{place}]")
        return None

    def _one(self, member: Member, value: Any, at: str) -> None:
        if value is None:
            return self._misshapen("must not be null; leave the element out", at)
        if member.check is not None:
            return self._primitive(member, value, at)
        if member.type == "Resource":
            return self._nested(member, value, at)
        if not isinstance(value, Mapping):
            return self._misshapen(_NOT_OBJECT, at)
        if not value:
            return self._fault("structure", EMPTY, at)
        if "id" in value and len(value) == 1:
            return self._fault("invariant", "ele-1: must have more than an id", at)
        self._group(value, shape_of(member.type), at)
        if member.type == "Reference":
            self._reference(member, value, at)
        elif member.codes is not None:
            self._concept(member, value, at)
        elif member.profile == "SimpleQuantity" and "comparator" in value:
            self._fault("invariant", "sqty-1: must not have a comparator", f"{at}.comparator")
        return None

    def _primitive(self, member: Member, value: object, at: str) -> None:
        fault: Fault | None = member.check(value) if member.check is not None else None
        if fault is not None:
            self._fault("structure" if fault.is_shape else "value", fault, at)
            self.is_sound = self.is_sound and not fault.is_shape
        elif member.codes is not None and value not in member.codes:
            self._fault("code-invalid", f"must be {_listed(member.codes)}{_near(str(value), member.codes)}", at)
        elif member.type in ("canonical", "uri", "url") and str(value).startswith("#"):
            self._local.named.add(str(value)[1:])

    def _concept(self, member: Member, value: Mapping[str, Any], at: str) -> None:
        """Judge a CodeableConcept whose value set is binding: one of its codings must come from there."""
        codings = value.get("coding")
        if not isinstance(codings, list):
            codings = []
        pairs = [f"{each.get('system', '')}|{each.get('code', '')}" for each in codings if isinstance(each, Mapping)]
        codes = member.codes or frozenset()
        if not codes.intersection(pairs) and ("extension" not in value or codings):
            system = sorted(codes)[0].split("|")[0]
            names = frozenset(code.split("|")[1] for code in codes)
            self._fault("code-invalid", f"must have a coding from {system}: {_listed(names)}", at)

    def _reference(self, member: Member, value: Mapping[str, Any], at: str) -> None:
        reference = value.get("reference")
        named = named_type(value)
        if named is not None and (wrong := wrong_target(named, member.targets)):
            self._fault("value", wrong, f"{at}.type")
        if not isinstance(reference, str) or not reference:
            return None
        at = f"{at}.reference"
        if reference.startswith("#"):
            return self._local_reference(reference[1:], member, at)
        found, fault = pointed_type(reference, may_search=self._may_search)
        if fault is None and found is not None:
            fault = wrong_target(found, member.targets)
            if fault is None and named is not None and named != found:
                fault = f"points to {found}, while its type says {named}"
        if fault is not None:
            self._fault("value", fault, at)
        return None

    def _local_reference(self, own: str, member: Member, at: str) -> None:
        if own:
            self._local.named.add(own)
            self._local.pointers.append((own, at, member))
        elif self._inside is None:
            self._fault("invariant", "ref-1: '#' alone points to the resource around a contained one", at)
        else:
            self._local.to_root.add(self._inside)
            if wrong := wrong_target(self._local.root, member.targets):
                self._fault("value", wrong, at)

    def _nested(self, member: Member, value: Any, at: str) -> None:
        if member.name != "contained":
            return self.resource(value, at)
        if self._inside is not None:
            return self._fault("invariant", "dom-2: a contained resource must not contain others", at)
        self._inside = at
        self._resource(value, at)
        self._inside = None
        if isinstance(value, Mapping):
            self._contained(value, at)
        return None

    def _contained(self, value: Mapping[str, Any], at: str) -> None:
        """Note who a contained resource is, and judge its `meta` (dom-4, dom-5)."""
        own = value.get("id")
        if not isinstance(own, str):
            self._fault("required", "a contained resource needs an id to be pointed to", f"{at}.id")
        elif own in self._local.contained:
            self._fault("value", f"two contained resources have the id '{own}'", f"{at}.id")
        else:
            self._local.contained[own] = str(value.get("resourceType")), at
        meta = value.get("meta")
        for rule, name in (("dom-4", "versionId"), ("dom-4", "lastUpdated"), ("dom-5", "security")):
            if isinstance(meta, Mapping) and name in meta:
                self._fault("invariant", f"{rule}: must not be given in a contained resource", f"{at}.meta.{name}")

    def _settle(self) -> None:
        """Judge the local references, now that all contained resources have been met (ref-1, dom-3)."""
        for own, at, member in self._local.pointers:
            if own not in self._local.contained:
                self._fault("invariant", f"ref-1: there is no contained resource with the id '{own}'", at)
            elif wrong := wrong_target(self._local.contained[own][0], member.targets):
                self._fault("value", wrong, at)
        for own, (_, place) in self._local.contained.items():
            if own not in self._local.named and place not in self._local.to_root:
                self._fault("invariant", "dom-3: a contained resource must be pointed to, or point to '#'", place)


def _type_at(path: str) -> str:
    return f"{path}.resourceType" if path else "resourceType"


def _hint(key: str, shape: Shape) -> str:
    choices = {member.choice: None for member in shape.members.values() if member.choice}
    near = [key] if key in choices else get_close_matches(key, [*shape.members, *choices], n=1)
    if not near:
        return ""
    members = [member.name for member in shape.members.values() if member.choice == near[0]]
    return f"; did you mean {' or '.join(members[:_CODES_SHOWN]) if members else near[0]}?"


def _listed(codes: frozenset[str]) -> str:
    if len(codes) > _CODES_SHOWN:
        return f"one of the {len(codes)} codes of its value set"
    return f"one of {', '.join(sorted(codes))}"


def _near(code: str, codes: frozenset[str]) -> str:
    near = get_close_matches(code.lower(), sorted(codes), n=1) if len(codes) > _CODES_SHOWN else []
    return f"; did you mean {near[0]}?" if near else ""
