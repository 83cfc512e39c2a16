"""Reading and checking the catalogue files, and laying what a model, its series and its family say over one another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from wardround.core.errors import CatalogueError
from wardround.models.catalogue.facts import UNKNOWN, Catalogue, CatalogueModel, Fact, Family
from wardround.models.catalogue.schema import (
    FAMILY_FIELDS,
    MODEL_FIELDS,
    SERVING_FIELDS,
    FamilyEntry,
    FamilyFile,
    ModelEntry,
    SeriesEntry,
    SeriesFile,
    Source,
)
from wardround.models.catalogue.vocabulary import REASONS, Reason, Sureness

FAMILIES = "families.yaml"
"""The file of architectures; all others hold models."""

_F = TypeVar("_F", FamilyFile, SeriesFile)


@cache
def embedded() -> Catalogue:
    """Return the catalogue that ships with Wardround, read once per process."""
    return load(resources.files("wardround.models.catalogue") / "data")


def load(folder: Traversable) -> Catalogue:
    """Read a folder with `families.yaml` and any number of files of models.

    Raises:
        CatalogueError: Names file, entry and field of every fault.
    """
    faults: list[str] = []
    files = {f.name: f for f in sorted(folder.iterdir(), key=lambda f: f.name) if f.name.endswith(".yaml")}
    if FAMILIES not in files:
        raise CatalogueError([f"{FAMILIES}: there is no such file"])
    families_file = _read(files.pop(FAMILIES), FamilyFile, faults)
    series_files = {name: _read(file, SeriesFile, faults) for name, file in files.items()}
    if faults:
        raise CatalogueError(faults)
    families = _families(families_file, faults) if families_file else {}
    models: dict[str, CatalogueModel] = {}
    for name, read in series_files.items():
        for series in read.series if read else ():
            for entry in series.models:
                if entry.id.casefold() in (known.casefold() for known in models):
                    faults.append(f"{name}: {entry.id}: id is given twice")
                models[entry.id] = _model(name, series, entry, families, faults)
    if faults:
        raise CatalogueError(faults)
    return Catalogue(models, families)


def _read(file: Traversable, kind: type[_F], faults: list[str]) -> _F | None:
    raw: Any = None
    try:
        raw = yaml.load(file.read_text("utf-8"), _strict_loader())
        # JSON has lists and words alone, and so can be held to its types without tuples and enums being refused.
        return kind.model_validate_json(json.dumps(raw), strict=True)
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        faults.append(f"{file.name}: {' '.join(str(error).split())}")
    except ValidationError as error:
        faults += [f"{file.name}: {_place(raw, fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return None


def _place(raw: Any, loc: Sequence[int | str]) -> str:
    """Name the place of a fault by the entries it is in, rather than by their numbers."""
    words: list[str] = []
    for step in loc:
        try:
            raw = raw[step]
        except (LookupError, TypeError):
            raw = None
        named = raw.get("id", raw.get("name")) if isinstance(raw, dict) and isinstance(step, int) else None
        words.append(str(named if named is not None else step))
    return ": ".join(words) or "file"


def _families(file: FamilyFile, faults: list[str]) -> dict[str, Family]:
    families: dict[str, Family] = {}
    for entry in file.families:
        where = f"{FAMILIES}: {entry.id}"
        if entry.id in families:
            faults.append(f"{where}: id is given twice")
        sources = _sources(where, file.sources, entry.sources, faults)
        said = _said(where, entry, sources, FAMILY_FIELDS, faults)
        faults += [
            f"{where}: {field}: nothing is said of it; list it under `unknown`"
            for field in FAMILY_FIELDS
            if field not in said
        ]
        facts = {field: said.get(field, UNKNOWN) for field in FAMILY_FIELDS}
        families[entry.id] = Family(entry.id, entry.name, facts, _used(facts, sources), entry.note)
    return families


def _model(
    file: str, series: SeriesEntry, entry: ModelEntry, families: Mapping[str, Family], faults: list[str]
) -> CatalogueModel:
    where = f"{file}: {entry.id}"
    sources = _sources(where, series.sources, entry.sources, faults)
    said = {
        **_said(f"{file}: {series.name}", series, series.sources, MODEL_FIELDS, faults),
        **_said(where, entry, sources, MODEL_FIELDS, faults),
    }
    family = said.get("family", UNKNOWN).value
    if family is not None and family not in families:
        faults.append(f"{where}: family: there is no family {family}")
    inherited = families[family].facts if family in families else {}
    facts: dict[str, Fact] = {}
    for field in MODEL_FIELDS:
        if field in said:
            facts[field] = said[field]
        elif field in SERVING_FIELDS:
            facts[field] = _as_likely(inherited.get(field, UNKNOWN))
        else:
            faults.append(f"{where}: {field}: nothing is said of it; list it under `unknown`")
            facts[field] = UNKNOWN
    if "/" in entry.id and facts["weights"].value != "hub":
        faults.append(f"{where}: weights: an id with a slash is one of the hub, so they lie there")
    return CatalogueModel(
        id=entry.id,
        name=entry.name,
        organisation=series.organisation,
        series=series.name,
        facts=facts,
        sources=_used(facts, sources),
        notes=tuple(note for note in (series.note, entry.note) if note),
        folders=entry.folders,
    )


def _as_likely(fact: Fact) -> Fact:
    """What a family says of its models is at most likely of one of them."""
    return Fact(fact.value, Sureness.LIKELY, REASONS[Reason.FAMILY]) if fact.known else UNKNOWN


def _said(
    where: str,
    entry: FamilyEntry | SeriesEntry | ModelEntry,
    sources: Mapping[str, Source],
    fields: Sequence[str],
    faults: list[str],
) -> dict[str, Fact]:
    """Return what one entry says by field; saying a field twice, or by an unnamed source, is a fault."""
    said: dict[str, Fact] = {}
    for field, fact in _statements(entry):
        if field not in fields:
            faults.append(f"{where}: unknown: there is no field {field}")
        elif field in said:
            faults.append(f"{where}: {field}: is said twice, as {said[field].sure} and as {fact.sure}")
        elif fact.sure in (Sureness.STATED, Sureness.MEASURED) and fact.source not in sources:
            faults.append(f"{where}: {field}: there is no source {fact.source}")
        said[field] = fact
    return said


def _statements(entry: FamilyEntry | SeriesEntry | ModelEntry) -> Iterator[tuple[str, Fact]]:
    headings: list[tuple[Sureness, Mapping[Any, Any]]] = [(Sureness.STATED, entry.stated)]
    if isinstance(entry, FamilyEntry):
        headings.append((Sureness.MEASURED, entry.measured))
    for sure, blocks in headings:
        for source, block in blocks.items():
            for field in block.model_fields_set:
                yield field, Fact(getattr(block, field), sure, source)
    for reason, block in entry.likely.items():
        for field in block.model_fields_set:
            yield field, Fact(getattr(block, field), Sureness.LIKELY, REASONS[reason])
    for field in entry.unknown:
        yield field, UNKNOWN


def _sources(
    where: str, shared: Mapping[str, Source], own: Mapping[str, Source], faults: list[str]
) -> dict[str, Source]:
    faults += [f"{where}: sources: {key} means two things" for key in shared.keys() & own.keys()]
    return {**shared, **own}


def _used(facts: Mapping[str, Fact], sources: Mapping[str, Source]) -> dict[str, Source]:
    """Return the sources that state something."""
    cited = {fact.source for fact in facts.values()}
    return {key: source for key, source in sources.items() if key in cited}


@cache
def _strict_loader() -> Any:
    """A safe loader that refuses a key given twice, of which YAML would keep the last."""
    loader: Any = type("StrictLoader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    loader.add_constructor("tag:yaml.org,2002:map", _mapping)
    return loader


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key, (key_node, _) in zip(keys, node.value, strict=True):
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"{key} is given twice", key_node.start_mark)
    mapping: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return mapping
