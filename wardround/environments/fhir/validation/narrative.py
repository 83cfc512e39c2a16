"""What the text of a resource may hold: a small, harmless part of XHTML (R4 rules txt-1 and txt-2)."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

from wardround.environments.fhir.validation.primitives import NOT_TEXT, Fault

_XHTML: Final = "{http://www.w3.org/1999/xhtml}"
_NAMES: Final = """
    a abbr acronym address area b bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em
    font h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ol p pre q s samp small span strike strong sub sup table tbody td
    tfoot th thead tr tt u ul var
"""
_ELEMENTS: Final = frozenset(_NAMES.split())
"""Elements of HTML 4.0, chapters 7 to 11 (without 9.4) and 15, links and images."""
_SCHEMES: Final = ("javascript:", "vbscript:", "data:text")


def narrative_fault(value: object) -> Fault | None:
    """Return what is wrong with a `Narrative.div`, or None."""
    if type(value) is not str:
        return NOT_TEXT
    if "<!DOCTYPE" in value or "<!ENTITY" in value:
        return Fault("txt-1: must not hold a document type or entities")
    try:
        root = ElementTree.fromstring(value)
    except ElementTree.ParseError as error:
        return Fault(f"txt-1: must be one well-formed XHTML div ({error})")
    if root.tag != f"{_XHTML}div":
        return Fault('txt-1: must be <div xmlns="http://www.w3.org/1999/xhtml">...</div>')
    for element in root.iter():
        if fault := _element_fault(element):
            return fault
    has_content = any(text.strip() for text in root.itertext()) or root.find(f".//{_XHTML}img") is not None
    return None if has_content else Fault("txt-2: must say something")


def _element_fault(element: ElementTree.Element) -> Fault | None:
    name = element.tag.removeprefix(_XHTML)
    if name not in _ELEMENTS:
        return Fault(f"txt-1: must not hold the element <{name}>")
    for attribute, content in element.attrib.items():
        if attribute.lower().startswith("on"):
            return Fault(f"txt-1: must not hold the attribute {attribute}")
        if content.strip().lower().startswith(_SCHEMES):
            return Fault("txt-1: must not hold a link that runs code")
    return None
