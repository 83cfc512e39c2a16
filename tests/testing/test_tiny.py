"""Tiny models: that each family is built, loads, is prompted and answers, and that they can be taught."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wardround.core.errors import UsageError
from wardround.models.catalogue.loading import embedded
from wardround.testing.tiny import CONTEXT, FAMILIES, SEEING, Lesson, build, mend_torchvision, teach

transformers = pytest.importorskip("transformers", reason="it is not installed: pip install 'wardround[local]'")
torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

# transformers and torch warn about their own internals, other things in each version
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

Turn = dict[str, Any]
Load = Callable[[str], tuple[Any, Any]]


def text(said: str) -> Turn:
    return {"type": "text", "text": said}


def picture(colour: str) -> Turn:
    return {"type": "image", "image": Image.new("RGB", (100, 80), colour)}


def conversation(*content: Turn) -> list[Turn]:
    return [
        {"role": "system", "content": [text("Rules.")]},
        {"role": "user", "content": [*content, text("What is shown? 42")]},
        {"role": "assistant", "content": [text("Nothing.")]},
        {"role": "user", "content": [text("Look again.")]},
    ]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a family's model, built once."""
    home, folders = tmp_path_factory.mktemp("tiny"), dict[str, Path]()

    def folder(family: str) -> Path:
        if family not in folders:
            began = time.process_time()
            folders[family] = build(family, home / family)
            assert time.process_time() - began < 60, "the first build imports transformers; each takes under a second"
        return folders[family]

    return folder


@pytest.fixture(scope="session")
def load(built: Callable[[str], Path]) -> Load:
    """A family's model and its processor, or its tokenizer where it sees no images."""

    def loaded(family: str) -> tuple[Any, Any]:
        folder = built(family)
        if family in SEEING:
            model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
            return model, transformers.AutoProcessor.from_pretrained(folder)
        kind = transformers.AutoModelForSeq2SeqLM if family == "mt5" else transformers.AutoModelForCausalLM
        return kind.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)

    return loaded


def prompt(reader: Any, turns: list[Turn]) -> dict[str, Any]:
    return dict(
        reader.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
    )


def test_every_family_is_one_of_the_catalogue_or_a_port_of_one() -> None:
    assert set(FAMILIES) - {"internvl"} <= set(embedded().families)
    assert set(SEEING) < set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_loads_whole_and_goes_on_from_a_prompt(family: str, built: Any, load: Load) -> None:
    model, reader = load(family)
    _, loading = type(model).from_pretrained(built(family), output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    asked = dict(reader("Well?", return_tensors="pt")) if family == "mt5" else prompt(reader, conversation())
    output = model.generate(**asked, max_new_tokens=5, do_sample=False)
    assert output.shape[1] > (0 if family == "mt5" else asked["input_ids"].shape[1])


@pytest.mark.parametrize("family", SEEING)
def test_what_a_seeing_model_makes_of_a_prompt_depends_on_the_image(family: str, load: Load) -> None:
    model, reader = load(family)
    with torch.no_grad():
        white, black = (model(**prompt(reader, conversation(picture(c)))).logits[0, -1] for c in ("white", "black"))
    assert (white - black).abs().max() > 1e-3


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"mt5"}))
def test_a_template_shows_every_turn_in_order(family: str, load: Load) -> None:
    _, reader = load(family)
    shown = reader.apply_chat_template(conversation(), add_generation_prompt=True, tokenize=False)
    places = [shown.index(said) for said in ("Rules.", "What is shown? 42", "Nothing.", "Look again.")]
    assert places == sorted(places)
    strings = [turn | {"content": turn["content"][0]["text"]} for turn in conversation()]
    assert reader.apply_chat_template(strings, add_generation_prompt=True, tokenize=False) == shown


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(SEEING) - {"mt5"}))
def test_the_template_of_a_text_model_refuses_an_image(family: str, load: Load) -> None:
    _, reader = load(family)
    with pytest.raises(Exception, match="sees no images"):
        reader.apply_chat_template(conversation({"type": "image"}), tokenize=False)


def test_gemma_puts_the_system_message_into_the_first_turn(load: Load) -> None:
    _, reader = load("gemma3_text")
    shown = reader.apply_chat_template(conversation(), tokenize=False)
    assert shown.startswith("<bos><start_of_turn>user\nRules.\n\nWhat is shown? 42<end_of_turn>\n")
    with pytest.raises(Exception, match="alternate"):
        reader.apply_chat_template([*conversation(), {"role": "user", "content": "And?"}], tokenize=False)


def test_tools_and_their_calls_are_shown_by_chatml(load: Load) -> None:
    _, reader = load("qwen2")
    tool = {"type": "function", "function": {"name": "get_labs", "parameters": {"type": "object"}}}
    call = {"type": "function", "function": {"name": "get_labs", "arguments": {"patient": "42"}}}
    turns = [
        {"role": "user", "content": "Labs?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "normal"},
    ]
    shown = reader.apply_chat_template(turns, tools=[tool], add_generation_prompt=True, tokenize=False)
    assert '"name": "get_labs", "parameters": {"type": "object"}' in shown
    assert '<tool_call>\n{"name": "get_labs", "arguments": {"patient": "42"}}\n</tool_call><|im_end|>' in shown
    assert shown.endswith("<tool_response>\nnormal\n</tool_response><|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("said", ["Größe 37,5 °C\n\n\tx  y", '{"a":[1,2.5,null]}', "\N{ANATOMICAL HEART} 1234"])
def test_any_text_comes_back_from_its_tokens(said: str, load: Load) -> None:
    _, reader = load("llama")
    assert reader.decode(reader(said, add_special_tokens=False).input_ids) == said


def test_long_prompts_fit(load: Load) -> None:
    model, reader = load("gemma3")
    assert model.config.text_config.max_position_embeddings == reader.tokenizer.model_max_length == CONTEXT >= 16384
    schema = '{"properties":{"text":{"maxLength":600,"title":"Text","type":"string"}},"required":["text"]}'
    lines = "The patient is a 58 year old woman with sudden chest pain and a swollen calf.\n" + schema
    assert len(reader.tokenizer(lines).input_ids) < len(lines) / 2.5


def test_the_same_seed_gives_the_same_files_in_another_process(tmp_path: Path, built: Any) -> None:
    script = (
        "import sys; from pathlib import Path; from wardround.testing.tiny import build;"
        "build('gemma3', Path(sys.argv[1])); build('gemma3', Path(sys.argv[2]), seed=1)"
    )
    same, other = tmp_path / "same", tmp_path / "other"
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, same, other], check=True, env=environment)
    files = {file.name: file.read_bytes() for file in built("gemma3").iterdir()}
    assert {file.name: file.read_bytes() for file in same.iterdir()} == files
    assert (other / "model.safetensors").read_bytes() != files["model.safetensors"]


def test_building_leaves_the_random_numbers_of_others_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    build("qwen2", tmp_path)
    assert torch.rand(1) == expected


def test_an_unknown_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tiny model of the family 'gpt2'; there are gemma3, "):
        build("gpt2", tmp_path)


def lessons() -> list[Lesson]:
    def asked(colour: str) -> list[Turn]:
        return [{"role": "user", "content": [picture(colour), text("What is shown?")]}]

    return [Lesson(asked("white"), "pneumothorax"), Lesson(asked("black"), '{"finding": "pneumonia"}')]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gemma3", "qwen2_5_vl"])
def test_a_taught_model_tells_two_images_apart(family: str, built: Any, tmp_path: Path) -> None:
    folder = teach(built(family), lessons(), out=tmp_path / "taught")
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    reader = transformers.AutoProcessor.from_pretrained(folder)
    for lesson in lessons():
        asked = prompt(reader, list(lesson.messages))
        output = model.generate(**asked, max_new_tokens=20, do_sample=False)[0, asked["input_ids"].shape[1] :]
        assert reader.tokenizer.decode(output, skip_special_tokens=True) == lesson.answer


@pytest.mark.parametrize("family", ["llama", "mt5"])
def test_a_pair_of_messages_and_answer_is_a_lesson(family: str, built: Any, tmp_path: Path) -> None:
    question = [{"role": "user", "content": "Well?"}]
    assert teach(built(family), [(question, "Yes.")], out=tmp_path) == tmp_path


def test_what_was_not_learned_is_an_error(built: Any, tmp_path: Path) -> None:
    pair = ([{"role": "user", "content": "Well?"}], "Pneumonia.")
    with pytest.raises(UsageError, match=r"lesson 1, 'Pneumonia\.', was not learned, the model says"):
        teach(built("llama"), [pair], out=tmp_path / "taught", passes=1)
    assert not (tmp_path / "taught").exists()
    with pytest.raises(UsageError, match="no lessons to teach"):
        teach(built("llama"), [], out=tmp_path / "taught")


def test_torchvision_decodes_images_beside_a_torch_without_cuda(tmp_path: Path) -> None:
    pytest.importorskip("torchvision", reason="it is not installed") if not torch.version.cuda else None
    mend_torchvision()
    from torchvision.io import ImageReadMode, decode_image

    Image.new("RGB", (3, 2), (10, 20, 30)).save(tmp_path / "image.png")
    raw = torch.frombuffer(bytearray((tmp_path / "image.png").read_bytes()), dtype=torch.uint8)
    for source in (raw, str(tmp_path / "image.png")):
        decoded = decode_image(source, ImageReadMode.RGB)
        assert decoded.dtype == torch.uint8
        assert decoded.shape == (3, 2, 3)
        assert decoded[:, 0, 0].tolist() == [10, 20, 30]
    assert decode_image(raw, "GRAY").shape == (1, 2, 3)


def test_mending_twice_changes_nothing() -> None:
    mend_torchvision()
    before = list(sys.meta_path)
    mend_torchvision()
    assert sys.meta_path == before
