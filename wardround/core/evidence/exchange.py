"""The evidence graph for other programs: GraphML for graph tools, PROV-JSON for provenance tools.

`EvidenceGraph.to_json` holds everything and is read back; these two are views of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import networkx as nx

from wardround.core.evidence.drawable import as_networkx
from wardround.core.evidence.lettering import legible
from wardround.core.evidence.weighed import WeighedItems
from wardround.core.items import Provenance

NAMESPACE = "urn:wardround:"
"""Of the names in PROV-JSON."""
_PREFIX = "wr"

Record = dict[str, Any]
Records = dict[str, dict[str, Record]]


def to_graphml(graph: WeighedItems) -> str:
    """Return the nodes, edges and attributes of `EvidenceGraph.to_networkx` as GraphML.

    `networkx.parse_graphml` gives them back, but for characters that XML does not allow: those become U+FFFD.
    """
    drawn: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    plain = as_networkx(graph)
    for node, attributes in plain.nodes(data=True):
        drawn.add_node(legible(node), **_legible(attributes))
    for tail, head, attributes in plain.edges(data=True):
        drawn.add_edge(legible(tail), legible(head), **_legible(attributes))
    return "\n".join(nx.generate_graphml(drawn)) + "\n"


def _legible(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: legible(value) if isinstance(value, str) else value for name, value in attributes.items()}


def to_prov(graph: WeighedItems) -> Records:
    """Return the graph as PROV-JSON (W3C member submission of 24 April 2013), to be written with `json.dumps`.

    Documents, sources, observations, claims and hypotheses are entities. Sources derive from their document and from
    what they were copied from, observations from the sources they were read in, hypotheses from the observations that
    bear on them, claims from what they cite. Two activities, reading and weighing, use the one and generate the
    other; claims are attributed to the agents that made them. `same_as` is alternateOf, `refines` specializationOf.
    """
    records: Records = defaultdict(dict)
    records["prefix"] = {_PREFIX: NAMESPACE}  # type: ignore[dict-item]
    records["agent"][_name("software", "wardround")] = _typed("SoftwareAgent", "Wardround", prov=True)
    for relation, record in [
        *_sources(graph),
        *_observations(graph),
        *_hypotheses(graph),
        *_claims(graph),
        *_edges(graph),
    ]:
        if relation in ("entity", "activity", "agent"):
            records[relation].setdefault(record.pop("id"), record)
        else:
            held = records[relation]
            held[f"_:{relation}{len(held) + 1}"] = record
    return dict(records)


def _name(kind: str, name: str) -> str:
    return f"{_PREFIX}:{kind}.{quote(name, safe='')}"


def _typed(kind: str, label: str, /, *, prov: bool = False, **attributes: Any) -> Record:
    typed = {"$": f"{'prov' if prov else _PREFIX}:{kind}", "type": "prov:QUALIFIED_NAME"}
    own = {f"{_PREFIX}:{name}": value for name, value in attributes.items() if value is not None}
    return {"prov:type": typed, "prov:label": label, **own}


def _derived(generated: str, used: str, **attributes: Any) -> tuple[str, Record]:
    own = {f"{_PREFIX}:{name}": value for name, value in attributes.items()}
    return "wasDerivedFrom", {"prov:generatedEntity": generated, "prov:usedEntity": used, **own}


def _step(activity: str, used: list[str], generated: list[str]) -> Iterator[tuple[str, Record]]:
    """One thing that Wardround did, with what went in and what came out."""
    name = _name("activity", activity)
    yield "activity", {"id": name, "prov:label": activity}
    yield "wasAssociatedWith", {"prov:activity": name, "prov:agent": _name("software", "wardround")}
    for entity in used:
        yield "used", {"prov:activity": name, "prov:entity": entity}
    for entity in generated:
        yield "wasGeneratedBy", {"prov:entity": entity, "prov:activity": name}


def _sources(graph: WeighedItems) -> Iterator[tuple[str, Record]]:
    for source in graph.sources.values():
        document = _name("document", source.document)
        yield "entity", {"id": document, **_typed("Document", source.document)}
        described = _typed(
            "Source",
            source.title or source.text,
            text=source.text,
            kind=source.kind.value,
            reliability=source.reliability,
            time=source.time.isoformat() if source.time is not None else None,
        )
        yield "entity", {"id": _name("source", source.id), **described}
        yield _derived(_name("source", source.id), document)


def _observations(graph: WeighedItems) -> Iterator[tuple[str, Record]]:
    read = [f.source for findings in graph.readings.values() for f in findings if f.source is not None]
    for code, findings in graph.readings.items():
        yield "entity", {"id": _name("observation", code), **_typed("Observation", findings[0].name)}
        for finding in findings:
            place = _name("source", finding.source or "")
            yield _derived(_name("observation", code), place, assertion=finding.assertion.value)
    used = [_name("source", source) for source in dict.fromkeys(read)]
    yield from _step("reading", used, [_name("observation", code) for code in graph.readings])


def _hypotheses(graph: WeighedItems) -> Iterator[tuple[str, Record]]:
    if not graph.candidates:
        return
    for j, candidate in enumerate(graph.candidates):
        name = _name("hypothesis", candidate.id)
        p = float(graph.posterior[j])
        yield "entity", {"id": name, **_typed("Hypothesis", candidate.name, icd10=candidate.icd10, probability=p)}
        for bearing, llr in zip(graph.bearings, graph.weighed.ratios[:, j].tolist(), strict=True):
            if abs(llr) > 1e-9:
                kind = "supports" if llr > 0 else "contradicts"
                yield _derived(name, _name("observation", bearing.code), kind=kind, llr=llr)
    used = [_name("observation", bearing.code) for bearing in graph.bearings]
    yield from _step("weighing", used, [_name("hypothesis", c.id) for c in graph.candidates])


def _claims(graph: WeighedItems) -> Iterator[tuple[str, Record]]:
    for claim in graph.claims.values():
        name, agent = _name("claim", claim.id), _name("agent", claim.agent)
        verdict = graph.verdicts.get(claim.id)
        label = verdict.label.value if verdict is not None else None
        yield "entity", {"id": name, **_typed("Claim", claim.text, verdict=label)}
        yield "agent", {"id": agent, **_typed("SoftwareAgent", claim.agent, prov=True)}
        yield "wasAttributedTo", {"prov:entity": name, "prov:agent": agent}
        for cited in dict.fromkeys(claim.cites):
            yield from _mention(graph, cited)
            yield _derived(name, _node(graph, cited), kind=Provenance.CITES.value)


def _edges(graph: WeighedItems) -> Iterator[tuple[str, Record]]:
    for edge in graph.provenance:
        tail, head = _node(graph, edge.tail), _node(graph, edge.head)
        yield from _mention(graph, edge.tail)
        yield from _mention(graph, edge.head)
        match edge.kind:
            case Provenance.SAME_AS:
                yield "alternateOf", {"prov:alternate1": tail, "prov:alternate2": head}
            case Provenance.REFINES:
                yield "specializationOf", {"prov:specificEntity": tail, "prov:generalEntity": head}
            case _:
                yield _derived(tail, head, kind=edge.kind.value)


def _node(graph: WeighedItems, name: str) -> str:
    if name in graph.sources:
        return _name("source", name)
    if name in graph.claims:
        return _name("claim", name)
    return _name("observation" if name in graph.readings else "document", name)


def _mention(graph: WeighedItems, name: str) -> Iterator[tuple[str, Record]]:
    """What is only spoken of is an entity as well; one that is there already stays as it is."""
    if name not in graph.sources and name not in graph.claims and name not in graph.readings:
        yield "entity", {"id": _node(graph, name), **_typed("Document", name)}
