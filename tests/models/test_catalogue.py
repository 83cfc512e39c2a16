"""The catalogue: its data, its loader, and what is computed from it."""

import shlex
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wardround.core.errors import CatalogueError, UsageError, WardroundError
from wardround.models.catalogue.facts import UNKNOWN, Catalogue, CatalogueModel, Fact, Filters
from wardround.models.catalogue.loading import embedded, load
from wardround.models.catalogue.schema import FAMILY_FIELDS, MODEL_FIELDS, SERVING_FIELDS
from wardround.models.catalogue.serving import BYTES, consult_command, memory, serve_command
from wardround.models.catalogue.vocabulary import REASONS, Sureness

CATALOGUE = embedded()
MODELS = sorted(CATALOGUE.models.values(), key=lambda model: model.id)
NAMED = [
    "LLaVA-Med",
    "Lingshu-7B",
    "Lingshu-32B",
    "Hulu-Med-4B",
    "Hulu-Med-7B",
    "Hulu-Med-14B",
    "Hulu-Med-32B",
    "medgemma-4b-it",
    "medgemma-27b-it",
    "medgemma-27b-text-it",
    "medgemma-1.5-4b-it",
    "HuatuoGPT-Vision-7B",
    "HuatuoGPT-Vision-34B",
    "Fleming-VL",
    "MedMO",
    "InfiMed",
    "MedVLThinker",
    "Med-R1",
    "MediX-R1",
    "BiMediX2",
    "MedRegA",
    "GMAI-VL",
    "ChestX-Reasoner",
    "MAIRA-2",
    "CheXagent",
    "LLM-CXR",
    "XrayGPT",
    "RetinaVLM",
    "FundusExpert",
    "OphthaReason",
    "DermoGPT",
    "OralGPT",
    "SlideChat",
    "Merlin",
    "RadFM",
    "MedPLIB",
    "Citrus",
    "MediPhi",
    "MedReason",
    "m1-7B",
    "Baichuan-M1",
    "Baichuan-M2",
    "Medical mT5",
    "HuatuoGPT-o1",
    "Meditron",
    "BioMistral",
    "OpenBioLLM",
    "Qwen2.5-VL",
    "Qwen3-VL",
    "Qwen3-8B",
    "InternVL3",
    "Gemma 3",
    "Llama 3.1",
    "Llama 3.2 11B Vision",
    "Mistral 7B",
    "Pixtral",
    "Phi-4-multimodal",
]


def model(**facts: Fact) -> CatalogueModel:
    said = dict.fromkeys(MODEL_FIELDS, UNKNOWN) | facts
    return CatalogueModel("org/name", "name", "org", "series", said, {}, (), folders=False)


def stated(value: object) -> Fact:
    return Fact(value, Sureness.STATED, "card")


@pytest.mark.parametrize("name", NAMED)
def test_a_model_that_researchers_ask_for_is_in_it(name: str) -> None:
    wanted = name.casefold()
    assert any(wanted in m.name.casefold() or wanted in m.id.casefold() for m in MODELS)


def test_there_are_many_models_and_each_id_is_there_once_in_any_case() -> None:
    assert len(MODELS) >= 45
    assert len({m.id.casefold() for m in MODELS}) == len(MODELS)


@pytest.mark.parametrize("entry", MODELS, ids=lambda m: m.id)
def test_every_field_of_a_model_says_how_sure_it_is_and_where_from(entry: CatalogueModel) -> None:
    assert tuple(sorted(entry.facts)) == MODEL_FIELDS
    for field, fact in entry.facts.items():
        if fact.sure is Sureness.UNKNOWN:
            assert (fact.value, fact.source) == (None, None), field
        elif fact.sure is Sureness.LIKELY:
            assert fact.value is not None, field
            assert fact.source in REASONS.values(), field
        else:
            assert fact.value is not None, field
            assert fact.source in entry.sources, field


@pytest.mark.parametrize("entry", MODELS, ids=lambda m: m.id)
def test_nothing_about_a_model_is_called_measured_or_checked(entry: CatalogueModel) -> None:
    assert entry.checked is False
    assert Sureness.MEASURED not in {fact.sure for fact in entry.facts.values()}


@pytest.mark.parametrize("entry", MODELS, ids=lambda m: m.id)
def test_what_a_family_says_is_no_more_than_likely_of_its_models(entry: CatalogueModel) -> None:
    assert entry.facts["family"].value in CATALOGUE.families
    family = CATALOGUE.families[entry.facts["family"].value]
    for field in SERVING_FIELDS:
        fact, general = entry.facts[field], family.facts[field]
        if fact.source == "from its architecture":
            assert (fact.value, fact.sure) == (general.value, Sureness.LIKELY)
        if not general.known and fact.known:
            assert fact.source != "from its architecture"


@pytest.mark.parametrize("entry", MODELS, ids=lambda m: m.id)
def test_text_models_take_no_images_and_others_do(entry: CatalogueModel) -> None:
    modalities = entry.facts["modalities"].value
    assert "text" in modalities
    if modalities == ("text",):
        assert entry.facts["image_types"].value == ()
        assert entry.facts["image_placement"].value == "none"
        assert entry.facts["image_token"].value == "none"
        assert entry.facts["coordinates"].value == "none"
    else:
        assert entry.facts["image_token"].value != "none"
        assert entry.facts["image_types"].value != ()


@pytest.mark.parametrize("entry", MODELS, ids=lambda m: m.id)
def test_flags_stand_where_flags_are_needed(entry: CatalogueModel) -> None:
    if entry.facts["vllm"].value == "needs flags":
        assert entry.facts["serve_flags"].value
    if entry.facts["remote_code"].value and serve_command(entry) is not None:
        assert "--trust-remote-code" in (serve_command(entry) or "")


def test_every_architecture_is_used_and_says_something_of_every_field() -> None:
    used = {m.facts["family"].value for m in MODELS}
    assert used == set(CATALOGUE.families)
    for family in CATALOGUE.families.values():
        assert tuple(sorted(family.facts)) == FAMILY_FIELDS


def test_what_was_measured_of_an_architecture_names_the_run() -> None:
    measured = {
        (family.id, field): family.sources[fact.source or ""].kind
        for family in CATALOGUE.families.values()
        for field, fact in family.facts.items()
        if fact.sure is Sureness.MEASURED
    }
    assert set(measured.values()) == {"run"}
    assert {family for family, field in measured if field == "vllm"} == {"qwen2_5_vl", "gemma3"}
    assert {family for family, field in measured if field == "tiny"} == {"qwen2_5_vl", "qwen3_vl", "gemma3", "llava"}


def test_no_source_is_an_address() -> None:
    for sources in [entry.sources for entry in MODELS] + [entry.sources for entry in CATALOGUE.families.values()]:
        for source in sources.values():
            assert "://" not in source.title


@given(st.floats(min_value=0.1, max_value=1000))
def test_memory_is_parameters_times_bytes_and_halves_with_the_bytes(billions: float) -> None:
    bf16, int8, int4 = memory(model(parameters=stated(billions)))
    assert [bf16.dtype, int8.dtype, int4.dtype] == list(BYTES)
    assert bf16.gib == pytest.approx(billions * 1e9 * 2 / 2**30, abs=0.06)
    assert bf16.gib == pytest.approx(2 * int8.gib, abs=0.16)
    assert int8.gib == pytest.approx(2 * int4.gib, abs=0.16)


def test_memory_by_hand_says_its_sum_and_that_it_is_computed() -> None:
    bf16 = memory(model(parameters=stated(8.29)))[0]
    assert bf16.to_json() == {"dtype": "bf16", "gib": 15.4, "formula": "8.29e9 x 2 / 2^30", "computed": True}


def test_memory_of_an_unknown_number_of_parameters_is_not_guessed() -> None:
    assert memory(model()) == ()
    assert memory(CATALOGUE.find("medplib")) == ()


def test_the_serve_line_has_the_flags_and_the_parser_of_tool_calls() -> None:
    assert serve_command(CATALOGUE.find("lingshu-medical-mllm/Lingshu-7B")) == (
        "vllm serve lingshu-medical-mllm/Lingshu-7B --enable-auto-tool-choice --tool-call-parser hermes"
    )
    assert serve_command(CATALOGUE.find("UbiquantAI/Fleming-VL-8B")) == (
        "vllm serve UbiquantAI/Fleming-VL-8B --trust-remote-code"
    )


def test_a_model_with_several_checkpoints_is_served_from_one_folder_under_its_id() -> None:
    line = serve_command(CATALOGUE.find("yuxianglai117/Med-R1"))
    assert line == "vllm serve FOLDER_OF_ONE_CHECKPOINT --served-model-name yuxianglai117/Med-R1"


@pytest.mark.parametrize("name", ["microsoft/maira-2", "xraygpt", "meta-llama/Llama-3.2-11B-Vision-Instruct"])
def test_no_line_is_made_up_for_a_model_that_vllm_does_not_list(name: str) -> None:
    found = CATALOGUE.find(name)
    assert serve_command(found) is None
    assert consult_command(found) == f"wardround consult CASE --model openai:{name} --base-url URL"


def test_whether_vllm_serves_it_unknown_is_no_line_either() -> None:
    assert serve_command(model()) is None
    assert serve_command(CATALOGUE.find("Luxuriant16/medrega")) is None


@pytest.mark.parametrize("entry", [m for m in MODELS if serve_command(m)], ids=lambda m: m.id)
def test_every_serve_line_names_the_model_that_the_consult_line_asks_for(entry: CatalogueModel) -> None:
    words = shlex.split(serve_command(entry) or "")
    assert words[:2] == ["vllm", "serve"]
    assert entry.id in words
    assert shlex.split(consult_command(entry)) == ["wardround", "consult", "CASE", "--model", f"vllm:{entry.id}"]


def test_a_filter_lets_through_only_what_is_known_to_be_so_and_counts_the_rest() -> None:
    entries = [model(licence=stated("MIT")), model(licence=stated("Apache-2.0")), model()]
    named = {f"org/{n}": entry for n, entry in enumerate(entries)}
    selection = Catalogue(named, {}).select(Filters(licence="apache"))
    assert [m.facts["licence"].value for m in selection.models] == ["Apache-2.0"]
    assert selection.undecided == 1


def test_a_model_that_fails_one_filter_is_out_although_another_is_unknown() -> None:
    entry = model(modalities=stated(("text",)))
    selection = Catalogue({"org/name": entry}, {}).select(Filters(modality="image", licence="mit"))
    assert (selection.models, selection.undecided) == ((), 0)


@pytest.mark.parametrize(
    ("filters", "inside", "outside"),
    [
        (Filters(modality="volume"), "ZJU-AI4H/Hulu-Med-7B", "lingshu-medical-mllm/Lingshu-7B"),
        (Filters(modality="regions"), "microsoft/maira-2", "google/medgemma-4b-it"),
        (Filters(image_type="dental"), "OralGPT/OralGPT-OPG-7B-Instruct", "microsoft/maira-2"),
        (Filters(licence="cc-by-nc"), "MBZUAI/MediX-R1-8B", "Qwen/Qwen3-8B"),
        (Filters(served="vllm"), "UbiquantAI/Fleming-VL-8B", "chaoyi-wu/RadFM"),
        (Filters(served="hf"), "microsoft/maira-2", "chaoyi-wu/RadFM"),
        (Filters(modality="text", served="vllm", image_type="fundus"), "google/medgemma-4b-it", "Qwen/Qwen3-8B"),
    ],
)
def test_filters_on_the_catalogue_itself(filters: Filters, inside: str, outside: str) -> None:
    ids = [m.id for m in CATALOGUE.select(filters).models]
    assert inside in ids
    assert outside not in ids
    assert ids == sorted(ids, key=str.casefold)


def test_no_filter_is_the_whole_catalogue() -> None:
    selection = CATALOGUE.select(Filters())
    assert (len(selection.models), selection.undecided) == (len(MODELS), 0)


def test_an_id_is_found_in_any_case() -> None:
    assert CATALOGUE.find("GOOGLE/MedGemma-4b-IT").id == "google/medgemma-4b-it"


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("lingsu-7b", "Lingshu-7B"), ("medgemma", "google/medgemma-"), ("Qwen/Qwen3-8", "Qwen/Qwen3-8B")],
)
def test_an_unknown_id_is_answered_with_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UsageError, match=rf"no model '{wrong}'; did you mean .*{near}"):
        CATALOGUE.find(wrong)


def test_an_id_like_no_other_is_answered_with_where_to_look() -> None:
    with pytest.raises(UsageError, match="`wardround models list` shows"):
        CATALOGUE.find("§§§§§§§§")


SOURCES = {"card": {"title": "A card", "kind": "card", "year": 2025, "read": True}}
FAMILY = {
    "id": "f",
    "name": "F",
    "sources": SOURCES,
    "stated": {"card": {"vllm": "yes"}},
    "unknown": [field for field in FAMILY_FIELDS if field != "vllm"],
}
OWN = [field for field in MODEL_FIELDS if field not in SERVING_FIELDS and field not in ("family", "licence")]
SERIES = {
    "name": "S",
    "organisation": "O",
    "sources": SOURCES,
    "stated": {"card": {"family": "f", "licence": "MIT"}},
    "unknown": OWN,
    "models": [{"id": "m", "name": "M"}],
}


def written(folder: Path, series: object = SERIES, family: object = FAMILY) -> Path:
    (folder / "families.yaml").write_text(yaml.safe_dump({"families": [family]}), "utf-8")
    (folder / "some.yaml").write_text(yaml.safe_dump({"series": [series]}), "utf-8")
    return folder


def faults(folder: Path) -> str:
    with pytest.raises(CatalogueError) as raised:
        load(folder)
    assert isinstance(raised.value, WardroundError)
    return "\n".join(raised.value.faults)


def test_a_small_catalogue_is_read_and_its_models_take_over_what_the_family_says(tmp_path: Path) -> None:
    found = load(written(tmp_path)).find("m")
    assert found.facts["licence"] == Fact("MIT", Sureness.STATED, "card")
    assert found.facts["vllm"] == Fact("yes", Sureness.LIKELY, "from its architecture")
    assert found.facts["context"] == UNKNOWN


def test_a_model_may_say_otherwise_than_its_series_and_its_family(tmp_path: Path) -> None:
    entry = {"id": "m", "name": "M", "likely": {"recall": {"licence": "Apache-2.0"}}, "unknown": ["vllm"]}
    found = load(written(tmp_path, {**SERIES, "models": [entry]})).find("m")
    assert found.facts["licence"] == Fact("Apache-2.0", Sureness.LIKELY, "recalled without a source")
    assert found.facts["vllm"] == UNKNOWN


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"unknown": OWN[1:]}, f"some.yaml: m: {OWN[0]}: nothing is said of it; list it under `unknown`"),
        ({"unknown": [*OWN, "licence"]}, "some.yaml: S: licence: is said twice, as stated and as unknown"),
        ({"unknown": [*OWN, "colour"]}, "some.yaml: S: unknown: there is no field colour"),
        ({"stated": {"paper": {"family": "f", "licence": "MIT"}}}, "some.yaml: S: family: there is no source paper"),
        ({"stated": {"card": {"family": "g", "licence": "MIT"}}}, "some.yaml: m: family: there is no family g"),
        ({"stated": {"card": {"family": "f", "license": "MIT"}}}, "some.yaml: series: S: stated: card: license: Extra"),
        ({"stated": {"card": {"family": "f", "licence": None}}}, "licence: null says nothing; list it under `unknown`"),
        ({"stated": {"card": {}}}, "some.yaml: series: S: stated: card: Value error, says nothing; take it out"),
        ({"likely": {"hope": {"context": 5}}}, "some.yaml: series: S: likely: hope"),
        ({"measured": {"card": {"context": 5}}}, "some.yaml: series: S: measured: Extra"),
        ({"models": []}, "some.yaml: series: S: models: Tuple should have at least 1 item"),
        ({"models": [{"id": "m", "name": "M", "unknown": [1]}]}, "series: S: models: m: unknown"),
        ({"models": [{"id": "m", "name": "M"}, {"id": "M", "name": "M"}]}, "some.yaml: M: id is given twice"),
        ({"models": [{"id": "o/m", "name": "M"}]}, "some.yaml: o/m: weights: an id with a slash is one of the hub"),
    ],
)
def test_a_fault_in_a_file_of_models_names_file_entry_and_field(
    tmp_path: Path, changed: dict[str, object], says: str
) -> None:
    assert says in faults(written(tmp_path, {**SERIES, **changed}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parameters", "7"),
        ("parameters", True),
        ("parameters", -1),
        ("parameters", float("nan")),
        ("context", 4096.5),
        ("gated", "no"),
        ("gated", 0),
        ("vllm", "maybe"),
        ("vllm", True),
        ("languages", ["english"]),
        ("languages", []),
        ("modalities", "image"),
        ("image_types", ["teeth"]),
        ("coordinates", "pixels"),
        ("licence", "  "),
    ],
)
def test_a_value_of_another_kind_is_refused_and_never_turned_into_one(
    tmp_path: Path, field: str, value: object
) -> None:
    entry = {"id": "m", "name": "M", "stated": {"card": {field: value}}}
    assert f"some.yaml: series: S: models: m: stated: card: {field}" in faults(
        written(tmp_path, {**SERIES, "models": [entry]})
    )


def test_a_fault_in_the_file_of_architectures_names_it(tmp_path: Path) -> None:
    assert "families.yaml: f: vllm: nothing is said of it" in faults(
        written(tmp_path, family={**FAMILY, "stated": {"card": {"tiny": True}}, "unknown": FAMILY["unknown"]})
    )


def test_a_key_given_twice_is_a_fault_and_not_the_last_one(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "some.yaml").write_text("series: []\nseries: []\n", "utf-8")
    assert "some.yaml: series is given twice" in faults(tmp_path)


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "some.yaml").write_text("series: [", "utf-8")
    assert faults(tmp_path).startswith("some.yaml: ")


def test_a_date_which_json_does_not_have_is_a_fault(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "some.yaml").write_text("series: [{name: 2025-01-01}]", "utf-8")
    assert faults(tmp_path).startswith("some.yaml: ")


def test_a_folder_without_architectures_is_refused(tmp_path: Path) -> None:
    assert faults(tmp_path) == "families.yaml: there is no such file"
