"""Rules of R4 that span several members, one function for each, named after the rule's key.

A rule is asked only of an object whose members are of the JSON types that are due; members may be missing. It
returns whether it holds. The rules are those of error severity in the definitions of the served types, of Bundle and
Parameters, and of the datatypes that can stand in them (not ElementDefinition), and the warning con-3. Those
that need more than one object are elsewhere: ele-1, ref-1, sqty-1 and dom-2 to dom-5 in `structure`, txt-1 and txt-2 in
`narrative`. dom-6, that a resource should have a narrative, is left out, since data for machines has none.
"""

from __future__ import annotations

from typing import Final

from wardround.environments.fhir.validation import bundle_rules, datatype_rules, resource_rules
from wardround.environments.fhir.validation.rules import RuleBook

INVARIANTS: Final = RuleBook(datatype_rules.RULES | resource_rules.RULES | bundle_rules.RULES)
"""By type or dotted group."""
