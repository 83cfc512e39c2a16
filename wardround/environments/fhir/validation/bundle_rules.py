"""The rules of Bundle and Parameters; `invariants` says which are here."""

from __future__ import annotations

from collections.abc import Sequence

from wardround.environments.fhir.validation.rules import Node, RuleBook, has, has_choice

RULES = RuleBook()


def _entries(bundle: Node) -> Sequence[Node]:
    entries: Sequence[Node] = bundle.get("entry", ())
    return entries


@RULES.rule("Parameters.parameter", says="needs one of a value, a resource or parts")
def inv_1(node: Node) -> bool:
    """A parameter holds one thing."""
    return (has_choice(node, "value") + ("resource" in node) + ("part" in node)) == 1


@RULES.rule("Bundle", says="must not be given unless the type is searchset or history", at="total")
def bdl_1(node: Node) -> bool:
    """Only the answer to a search or a history is part of a larger whole."""
    return not has(node, "total") or node.get("type") in ("searchset", "history")


@RULES.rule("Bundle", says="search must not be given unless the type is searchset", at="entry")
def bdl_2(node: Node) -> bool:
    """Only what was searched for says how it was found."""
    return node.get("type") == "searchset" or not any("search" in entry for entry in _entries(node))


@RULES.rule(
    "Bundle", says="request must be given in each of a batch, transaction or history, and nowhere else", at="entry"
)
def bdl_3(node: Node) -> bool:
    """An entry says what to do just where something is to be done, or was."""
    is_due = node.get("type") in ("batch", "transaction", "history")
    return all(("request" in entry) == is_due for entry in _entries(node))


@RULES.rule("Bundle", says="response must be given in each of an answer or history, and nowhere else", at="entry")
def bdl_4(node: Node) -> bool:
    """An entry says what came of it just where something was done."""
    is_due = node.get("type") in ("batch-response", "transaction-response", "history")
    return all(("response" in entry) == is_due for entry in _entries(node))


@RULES.rule("Bundle.entry", says="needs a resource, a request or a response")
def bdl_5(node: Node) -> bool:
    """An entry holds something."""
    return "resource" in node or "request" in node or "response" in node


@RULES.rule("Bundle", says="fullUrl must not be given twice for one version of a resource", at="entry")
def bdl_7(node: Node) -> bool:
    """An address in a bundle stands for one resource, or for versions that can be told apart."""
    if node.get("type") == "history":
        return True
    seen = [
        (entry["fullUrl"], entry.get("resource", {}).get("meta", {}).get("versionId"))
        for entry in _entries(node)
        if "fullUrl" in entry
    ]
    return len(seen) == len(set(seen))


@RULES.rule("Bundle.entry", says="must not name a version", at="fullUrl")
def bdl_8(node: Node) -> bool:
    """The address of an entry is that of the resource, not of one version."""
    return "/_history/" not in node.get("fullUrl", "")


@RULES.rule("Bundle", says="a document needs an identifier with system and value", at="identifier")
def bdl_9(node: Node) -> bool:
    """A document can be told from others for good."""
    identifier = node.get("identifier", {})
    return node.get("type") != "document" or (has(identifier, "system") and has(identifier, "value"))


@RULES.rule("Bundle", says="a document needs a timestamp", at="timestamp")
def bdl_10(node: Node) -> bool:
    """A document says when it was put together."""
    return node.get("type") != "document" or "timestamp" in node


@RULES.rule("Bundle", says="the first resource of a document must be a Composition", at="entry")
def bdl_11(node: Node) -> bool:
    """A document begins with its table of contents."""
    return node.get("type") != "document" or _first_type(node) == "Composition"


@RULES.rule("Bundle", says="the first resource of a message must be a MessageHeader", at="entry")
def bdl_12(node: Node) -> bool:
    """A message begins with its header."""
    return node.get("type") != "message" or _first_type(node) == "MessageHeader"


def _first_type(node: Node) -> object:
    return next((entry.get("resource", {}).get("resourceType") for entry in _entries(node)), None)
