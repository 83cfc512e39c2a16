"""The second judge: the typed models of `fhir.resources`, asked of what the definitions let through.

They are models of R4B (4.3.0), which is the same as R4 for the served types; the package's default is R5, which refuses
most R4 resources. They are not the only judge, since they coerce JSON types and know neither codes nor references.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from wardround.core.extras import require
from wardround.environments.fhir.outcome import Issue

NOT_R4B: Final = frozenset(
    {
        "EffectEvidenceSynthesis",
        "Evidence",
        "EvidenceVariable",
        "MedicinalProduct",
        "MedicinalProductAuthorization",
        "MedicinalProductContraindication",
        "MedicinalProductIndication",
        "MedicinalProductIngredient",
        "MedicinalProductInteraction",
        "MedicinalProductManufactured",
        "MedicinalProductPackaged",
        "MedicinalProductPharmaceutical",
        "MedicinalProductUndesirableEffect",
        "RiskEvidenceSynthesis",
        "SubstanceNucleicAcid",
        "SubstancePolymer",
        "SubstanceProtein",
        "SubstanceReferenceInformation",
        "SubstanceSourceMaterial",
        "SubstanceSpecification",
    }
)
"""R4 types that R4B does not have, or has with other elements; what holds one of them has no model to ask."""

_STRICTER_THAN_R4: Final = ("uuid_version",)
"""Kinds of error that R4 does not know: it takes UUIDs of every version."""


def model_issues(resource: Mapping[str, Any], types: Set[str]) -> list[Issue]:
    """Return what the model of a resource refuses.

    Args:
        resource: A resource in which the definitions find no fault.
        types: The types of it and of all resources in it.

    Raises:
        MissingExtra: `fhir.resources` is not installed.
    """
    if types & NOT_R4B:
        return []
    kind = str(resource["resourceType"])
    try:
        _model(kind).model_validate(resource)
    except ValidationError as error:
        return [
            Issue("error", "structure", f"refused by the typed model: {each['msg']}", (_place(kind, each["loc"]),))
            for each in error.errors(include_url=False, include_input=False)
            if each["type"] not in _STRICTER_THAN_R4
        ]
    return []


@cache
def _model(kind: str) -> type[BaseModel]:
    model: type[BaseModel] = require("fhir.resources.R4B", extra="fhir").get_fhir_model_class(kind)
    return model


def _place(kind: str, steps: Sequence[int | str]) -> str:
    # The models put the step "root" where an object is judged as a whole.
    return kind + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps if step != "root")
