"""Images that a run was shown are kept with it, so that it can be done over when their files are gone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import wardround as wr
from wardround.core.case import ImageRef
from wardround.core.errors import WardroundError
from wardround.graphs.edits import Edits
from wardround.graphs.replaying import replay
from wardround.graphs.shown import shown_in
from wardround.models.handle import ModelHandle
from wardround.testing import ScriptedAnswer, ScriptedChatModel
from wardround.trace.events import ImageRead
from wardround.trace.store import RunStore

SAYS = {
    "TriageAnswer": {"urgency": "urgent", "specialties": ["pulmonology"], "reasons": []},
    "PlanAnswer": {"indicators": []},
    "SpecialistAnswer": {"differential": [], "leading": None, "confidence": 0.1, "claims": [], "missing": []},
    "AttendingAnswer": {"diagnosis": None, "argument": []},
}


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    draw = np.random.default_rng(7)
    paths = [tmp_path / f"{name}.png" for name in ("chest", "side")]
    for path in paths:
        Image.fromarray(draw.integers(0, 255, (120, 160), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def ward(tmp_path: Path) -> wr.Ward:
    script = tuple(ScriptedAnswer(answer=name, says=says, times=50) for name, says in SAYS.items())
    seeing = ModelHandle("given:seeing", ScriptedChatModel(script=script), constrained=True, sampled=True, images=True)
    settings = wr.ConsultSettings(rollouts=1, rounds=0, tool_steps=0)
    return wr.Ward(seeing, workspace=tmp_path / "ward", settings=settings)


def case_of(paths: list[Path]) -> wr.Case:
    images = tuple(ImageRef(uri=str(path), modality="DX", body_part="CHEST") for path in paths)
    return wr.Case(id="seen", narrative="64-year-old man. Cough and fever for three days.", images=images)


def test_a_run_is_replayed_and_forked_when_its_images_are_gone(ward: wr.Ward, pictures: list[Path]) -> None:
    first = ward.consult(case_of(pictures))
    shown = [event for event in first.events if isinstance(event, ImageRead)]
    for path in pictures:
        path.unlink()
    assert ward.workspace is not None
    assert replay(RunStore.existing(ward.workspace), first.run).is_equal
    forked = ward.fork(first.run, Edits(anew_from="attending"))
    again = [event for event in forked.events if isinstance(event, ImageRead)]
    assert [event.sha256 for event in again] == [event.sha256 for event in shown]
    assert len({event.sha256 for event in again}) == 2


def test_an_image_twice_in_a_case_is_shown_twice(ward: wr.Ward, pictures: list[Path]) -> None:
    consult = ward.consult(case_of([pictures[0], pictures[0]]))
    assert ward.workspace is not None
    store = RunStore.existing(ward.workspace)
    found = shown_in([*consult.events, *consult.events], consult.case, store)
    assert [picture.uri for picture in found] == [str(pictures[0])] * 2
    assert found[0].data == found[1].data != b""


def test_where_an_image_is_not_kept_its_file_is_read(ward: wr.Ward, pictures: list[Path], tmp_path: Path) -> None:
    first = ward.consult(case_of(pictures))
    store = RunStore(tmp_path / "other")
    store.begin(first.events[0])
    store.keep_case(first.run, first.case.model_dump_json())
    store.append(first.run, first.events)
    assert shown_in(first.events, first.case, store) == ()
    assert replay(store, first.run).is_equal
    pictures[1].unlink()
    with pytest.raises(WardroundError, match=r"side\.png"):
        replay(store, first.run)
