"""Bundles that nobody here wrote go through unchanged."""

import json
import os
from pathlib import Path

import pytest

import wardround as wr
from wardround.core.decision import DecisionStatus

FOLDER = Path(os.environ.get("WARDROUND_R4_EXAMPLES", "/nowhere"))
BUNDLES = sorted(FOLDER.glob("Bundle-*.json"))


@pytest.mark.slow
@pytest.mark.skipif(
    not (FOLDER / "Bundle-father.json").is_file(),
    reason="WARDROUND_R4_EXAMPLES names no folder with the unpacked npm package hl7.fhir.r4.examples",
)
async def test_every_official_bundle_ends_in_a_decision_or_an_abstention_with_reasons() -> None:
    assert len(BUNDLES) >= 40
    ward = wr.Ward(settings=wr.ConsultSettings(rollouts=1, tool_steps=1))
    async with ward.session() as session:
        for path in BUNDLES:
            consult = await session.consult(wr.Case.from_file(path))
            decision = consult.decision
            assert (decision.status is DecisionStatus.FINAL) == (not decision.reasons), path.name
            kinds = {
                entry["resource"]["resourceType"]
                for entry in json.loads(path.read_text("utf-8")).get("entry", [])
                if "resource" in entry
            }
            read = {source.document.split("/")[0] for source in consult.evidence.sources.values()}
            assert kinds - {"Patient"} <= read | set(consult.skipped), path.name
