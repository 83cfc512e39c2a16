"""Turn the official FHIR R4 definitions into the table that the sandbox reads.

Run with the folder of the unpacked npm package `hl7.fhir.r4.examples` 4.0.1 (licence CC0-1.0):

    python scripts/generate_r4.py PACKAGE/package

It writes `wardround/environments/fhir/r4.json`: the elements of every datatype and resource type, the codes of the
required bindings, and the search parameters and compartments of the served types. The layout is told in
`wardround/environments/fhir/definitions.py`, which reads it. The same package gives the same bytes. A definition of
a form that is not known here stops the script, since a parameter left out in silence would later find nothing.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wardround.environments.fhir.definitions import COMMON, SUPPORTED

Json = dict[str, Any]

TARGET = Path(__file__).parents[1] / "wardround" / "environments" / "fhir" / "r4.json"
BASE = "http://hl7.org/fhir/StructureDefinition/"
COMPARTMENTS = ("Patient", "Practitioner", "Encounter")
NOT_LISTED = {
    "http://hl7.org/fhir/ValueSet/mimetypes": "every MIME type there is",
    "http://hl7.org/fhir/ValueSet/currencies": "ISO 4217, which is not in the package",
    "http://hl7.org/fhir/ValueSet/ucum-units": "UCUM, a grammar and not a list",
    "http://loinc.org/vs/LL379-9": "a LOINC answer list, which is not in the package",
}
"""Value sets of required bindings whose codes cannot be written down from the package, and why."""
FITTING = {
    "token": {"CodeableConcept", "Coding", "Identifier", "code", "boolean", "ContactPoint", "id", "string", "uri"},
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "string": {"string", "markdown", "HumanName", "Address", "Annotation"},
    "reference": {"Reference", "canonical", "uri"},
    "quantity": {"Quantity", "Age", "Duration", "Money", "Range", "SampledData"},
    "number": {"integer", "positiveInt", "unsignedInt", "decimal", "Range"},
    "uri": {"uri", "url", "canonical"},
}
"""The types of element that each type of search parameter can read (R4, "Search", the table of each type)."""


class UnknownForm(Exception):
    """A definition is written in a way that this script does not understand."""


def read(package: Path, kind: str) -> Iterator[Json]:
    """Give the definitions of one resource type, by file name."""
    for path in sorted(package.glob(f"{kind}-*.json")):
        definition = json.loads(path.read_text(encoding="utf-8"))
        if definition.get("resourceType") == kind:
            yield definition


def structures(package: Path) -> dict[str, Json]:
    """Give the definitions of the concrete resource types and complex datatypes, and of Element, by name."""
    found = {}
    for definition in read(package, "StructureDefinition"):
        name = definition["type"]
        is_base = definition["url"] == BASE + name and definition.get("derivation") != "constraint"
        is_wanted = definition["kind"] in ("resource", "complex-type") and not definition["abstract"]
        if is_base and (is_wanted or name == "Element"):
            found[name] = definition
    return found


class Codes:
    """The codes of value sets, each listed once under the last part of its address."""

    def __init__(self, package: Path) -> None:
        self._sets = {each["url"]: each for each in read(package, "ValueSet")}
        self._systems = {each["url"]: each for each in read(package, "CodeSystem")}
        self.listed: dict[str, list[str]] = {}

    def name(self, canonical: str, *, with_system: bool) -> str | None:
        """Expand a value set and give the name it is listed under; None when its codes cannot be listed."""
        url = canonical.split("|")[0]
        if url in NOT_LISTED:
            return None
        name = url.rsplit("/", 1)[1] + ("|" if with_system else "")
        pairs = self._expand(url)
        codes = sorted({f"{system}|{code}" if with_system else code for system, code in pairs})
        if self.listed.setdefault(name, codes) != codes:
            raise UnknownForm(f"two value sets end in {name}: {url} is the second")
        return name

    def _expand(self, url: str) -> set[tuple[str, str]]:
        compose = self._sets[url]["compose"]
        kept: set[tuple[str, str]] = set().union(*(self._part(part, url) for part in compose["include"]))
        for part in compose.get("exclude", []):
            kept -= self._part(part, url)
        return kept

    def _part(self, part: Json, url: str) -> set[tuple[str, str]]:
        if unknown := set(part) - {"system", "version", "concept", "valueSet"}:
            raise UnknownForm(f"{url}: an include with {', '.join(sorted(unknown))}")
        imports = [self._expand(each.split("|")[0]) for each in part.get("valueSet", [])]
        if "system" not in part:
            return set.intersection(*imports)
        system = part["system"]
        concepts = part["concept"] if "concept" in part else self._whole(system, url)
        own = {(system, code) for code in _flatten(concepts)}
        return own.intersection(*imports)

    def _whole(self, system: str, url: str) -> list[Json]:
        definition = self._systems.get(system)
        if definition is None or definition["content"] != "complete":
            raise UnknownForm(f"{url}: the code system {system} is not in the package as a whole")
        return list(definition["concept"])


def _flatten(concepts: list[Json]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _flatten(concept.get("concept", []))


def elements(definition: Json, codes: Codes, resources: set[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Give each group of elements of a type: its dotted name, and a description of each member."""
    rows = definition["snapshot"]["element"][1:]
    groups: dict[str, dict[str, str]] = {definition["type"]: {}}
    for row in rows:
        parent, _, member = row["path"].rpartition(".")
        if parent not in groups:
            raise UnknownForm(f"{row['path']} comes before its group")
        if _is_group(row):
            groups[row["path"]] = {}
        groups[parent][member] = _describe(row, codes, resources)
    yield from groups.items()


def _is_group(row: Json) -> bool:
    return [each["code"] for each in row.get("type", [])] in (["BackboneElement"], ["Element"])


def _describe(row: Json, codes: Codes, resources: set[str]) -> str:
    types = [row["path"]] if _is_group(row) else [_type(each, row, resources) for each in row.get("type", [])]
    if "contentReference" in row:
        types = [row["contentReference"].removeprefix("#")]
    if not types or (len(types) > 1 and not row["path"].endswith("[x]")):
        raise UnknownForm(f"{row['path']} has the types {types}")
    if row["max"] not in ("1", "*"):
        raise UnknownForm(f"{row['path']} may be given at most {row['max']} times")
    words = [",".join(types), f"{row['min']}..{row['max']}"]
    binding = row.get("binding", {})
    if binding.get("strength") == "required":
        if types[0] not in ("code", "CodeableConcept") or len(types) > 1:
            raise UnknownForm(f"{row['path']} has a required binding on {types}")
        name = codes.name(binding["valueSet"], with_system=types[0] != "code")
        words += [f"={name}"] if name else []
    return " ".join(words)


def _type(entry: Json, row: Json, resources: set[str]) -> str:
    """Write a type, with the resource types it can point to or the profile of it: `Reference(Patient|Group)`."""
    code = str(entry["code"])
    if "profile" in entry:
        return f"{code}({'|'.join(profile.removeprefix(BASE) for profile in entry['profile'])})"
    if code.startswith("http://hl7.org/fhirpath/"):
        # The XML attributes carry their FHIR type in an extension, which calls the id of a resource a string.
        if row["base"]["path"] == "Resource.id":
            return "id"
        return next(
            str(e["valueUrl"]) for e in entry["extension"] if e["url"].endswith("structuredefinition-fhir-type")
        )
    targets = [profile.removeprefix(BASE) for profile in entry.get("targetProfile", [])]
    if unknown := set(targets) - resources - {"Resource"}:
        raise UnknownForm(f"{row['path']} points to {sorted(unknown)}")
    return code if not targets or "Resource" in targets else f"{code}({'|'.join(targets)})"


STEP = re.compile(r"[a-z][A-Za-z]*")
FILTER = re.compile(r"(?P<path>.+)\.where\((?P<field>[a-z]+)='(?P<value>[a-z]+)'\)")
RESOLVED = re.compile(r"(?P<path>.+)\.where\(resolve\(\) is (?P<target>[A-Z][A-Za-z]+)\)")
CAST = re.compile(r"\((?P<path>[A-Za-z.]+) as (?P<type>[A-Za-z]+)\)(?P<rest>(\.[A-Za-z]+)*)")
CALLED_CAST = re.compile(r"(?P<path>[A-Za-z.]+)\.as\((?P<type>[A-Za-z]+)\)")
COMPUTED = {"Patient.deceased.exists() and Patient.deceased != false"}
"""Expressions that are no path; the server has a function of its own for each."""


class Parameters:
    """Search parameters, their expressions worked out into plain paths."""

    def __init__(self, groups: Mapping[str, Mapping[str, str]], resources: set[str]) -> None:
        self._groups = groups
        self._resources = resources

    def of(self, base: str, definition: Json) -> Json:
        """Describe a parameter as it applies to one resource type."""
        kind = definition["type"]
        if kind in ("composite", "special"):
            return {"type": kind}
        parts = [part.strip() for part in definition["expression"].split("|")]
        own = [part for part in parts if re.match(rf"\(?{base}\.", part)]
        if not own or any(not re.match(r"\(?[A-Z][A-Za-z]+\.", part) for part in parts):
            raise UnknownForm(f"{definition['id']} on {base}: {definition['expression']}")
        if own == [part for part in own if part in COMPUTED]:
            return {"type": kind, "computed": True}
        paths: list[list[str]] = []
        targets: dict[str, None] = {}
        is_any = False
        for part in own:
            found, reached = self._read(part, kind)
            paths += found
            targets |= dict.fromkeys(reached)
            is_any = is_any or not reached
        result: Json = {"type": kind, "paths": paths}
        if kind == "reference" and (allowed := self._allowed(definition, [] if is_any else list(targets))):
            result["targets"] = allowed
        return result

    def _allowed(self, definition: Json, reached: list[str]) -> list[str]:
        declared = definition.get("target", [])
        if set(declared) >= self._resources - {"Parameters"}:  # Parameters have no id to point to
            return reached
        return [target for target in reached if target in declared] if reached else declared

    def _read(self, expression: str, kind: str) -> tuple[list[list[str]], list[str]]:
        """Give the paths of one branch of an expression, and the types it can point to."""
        if match := RESOLVED.fullmatch(expression):
            paths, _ = self._read(match["path"], kind)
            return paths, [match["target"]]
        if match := FILTER.fullmatch(expression):
            paths, targets = self._read(match["path"], kind)
            return [[*path, match["field"], match["value"]] for path in paths], targets
        if match := CAST.fullmatch(expression) or CALLED_CAST.fullmatch(expression):
            steps = match["path"].split(".")
            steps[-1] += match["type"][0].upper() + match["type"][1:]
            rest = match.groupdict().get("rest") or ""
            return self._walk([*steps, *rest.split(".")[1:]], kind, expression)
        return self._walk(expression.split("."), kind, expression)

    def _walk(self, steps: list[str], kind: str, expression: str) -> tuple[list[list[str]], list[str]]:
        group, *members = steps
        if not members or not all(STEP.fullmatch(member) for member in members):
            raise UnknownForm(expression)
        for member in members[:-1]:
            group = self._one(group, member, expression)[0]
        ends = self._ends(group, members[-1], expression)
        fitting = {name: each for name, each in ends.items() if each[0] in FITTING[kind]}
        # Of a choice only the members of fitting types are read: an occurrence told in words has no date.
        if not fitting:
            raise UnknownForm(f"{expression}: a {kind} parameter cannot read {ends}")
        stem = members[:-1]
        targets = [target for _, reached in fitting.values() for target in reached]
        return [[".".join([*stem, name]), each[0]] for name, each in fitting.items()], targets

    def _one(self, group: str, member: str, expression: str) -> tuple[str, list[str]]:
        ends = self._ends(group, member, expression)
        if set(ends) != {member}:
            raise UnknownForm(f"{expression}: {member} is a choice in the middle of the path")
        return ends[member]

    def _ends(self, group: str, member: str, expression: str) -> dict[str, tuple[str, list[str]]]:
        """Give the JSON members that a step reads, each with its type and what it can point to."""
        for name, described in self._groups.get(group, {}).items():
            types = [_parsed(each) for each in described.split(" ")[0].split(",")]
            if name == member:
                return {member: types[0]}
            concrete = {name[:-3] + each[0][0].upper() + each[0][1:]: each for each in types}
            if name == f"{member}[x]":
                return concrete
            if name.endswith("[x]") and member in concrete:
                return {member: concrete[member]}
        raise UnknownForm(f"{expression}: {group} has no {member}")


def _parsed(written: str) -> tuple[str, list[str]]:
    name, _, targets = written.partition("(")
    return name, targets.rstrip(")").split("|") if targets else []


def parameters(package: Path, groups: Mapping[str, Mapping[str, str]], resources: set[str]) -> dict[str, Json]:
    """Give the search parameters of each served type, by name."""
    reader = Parameters(groups, resources)
    found: dict[str, Json] = {base: {} for base in SUPPORTED}
    for definition in read(package, "SearchParameter"):
        # Parameters that read an extension belong to the profile that defines it, not to the base specification.
        if definition.get("version") != "4.0.1" or "base" not in definition or _is_of_profile(definition):
            continue
        for base in found.keys() & set(definition["base"]):
            name = definition["code"]
            if name in found[base]:
                raise UnknownForm(f"{base} has the parameter {name} twice")
            found[base][name] = reader.of(base, definition)
        if (
            definition["base"] == ["Resource"]
            and COMMON.get(definition["code"], definition["type"]) != definition["type"]
        ):
            raise UnknownForm(f"{definition['code']} is of type {definition['type']}")
    return {base: dict(sorted(each.items())) for base, each in found.items()}


def _is_of_profile(definition: Json) -> bool:
    # The pack of patient extensions also holds two parameters (age, birthOrderBoolean) without an expression.
    return definition["id"].startswith("patient-extensions-") or ".extension(" in definition.get("expression", "")


def compartments(package: Path) -> dict[str, Json]:
    """Give, for each compartment, the reference parameters by which a resource of a served type is in it.

    The source's `{def}`, that the resource which names the compartment is in it, goes without saying.
    """
    by_code = {
        each["code"]: each
        for each in read(package, "CompartmentDefinition")
        if each["url"] == f"http://hl7.org/fhir/CompartmentDefinition/{each['code'].lower()}"
    }
    return {code: dict(_members(by_code[code])) for code in COMPARTMENTS}


def _members(definition: Json) -> Iterator[tuple[str, list[str]]]:
    for entry in definition["resource"]:
        names = [name for name in entry.get("param", []) if name != "{def}"]
        if names and entry["code"] in SUPPORTED:
            yield entry["code"], names


def table(package: Path) -> Json:
    """Build the whole table."""
    found = structures(package)
    resources = sorted(name for name, definition in found.items() if definition["kind"] == "resource")
    if missing := set(SUPPORTED) - set(resources):
        raise UnknownForm(f"the package lacks {sorted(missing)}")
    codes = Codes(package)
    groups = {
        name: members
        for _, definition in sorted(found.items())
        for name, members in elements(definition, codes, set(resources))
    }
    return {
        "resources": resources,
        "codes": dict(sorted(codes.listed.items())),
        "elements": groups,
        "parameters": parameters(package, groups, set(resources)),
        "compartments": compartments(package),
    }


def write(content: Json) -> str:
    """Lay the table out with one line for each entry of a section, so that a change shows as few lines."""
    sections = []
    for name, section in content.items():
        if isinstance(section, list):
            sections.append(f'"{name}": {_compact(section)}')
            continue
        lines = ",\n".join(f"{_compact(key)}: {_compact(value)}" for key, value in section.items())
        sections.append(f'"{name}": {{\n{lines}\n}}')
    return "{\n" + ",\n".join(sections) + "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def main() -> None:
    """Read the package named on the command line and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("package", type=Path, help="folder with StructureDefinition-*.json and the rest")
    text = write(table(parser.parse_args().package))
    TARGET.write_text(text, encoding="utf-8")
    print(f"{TARGET}: {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main()
