"""What a model is sent: by its own template, images where they belong, and nothing that only looks like a command."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from tests.models.local.conftest import SETTINGS
from tests.models.local.questions import asked, picture
from wardround.core.errors import UsageError
from wardround.models.local.chat import LocalChatModel, local_chat
from wardround.models.local.loading import Loaded
from wardround.models.local.rendering import Renderer
from wardround.testing.tiny import FAMILIES

REFUSES_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)
IGNORES_SYSTEM = "{% for m in messages if m['role'] != 'system' %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
CONVERSATION: list[BaseMessage] = [
    SystemMessage("Be brief."),
    HumanMessage("Fever?"),
    AIMessage("No."),
    HumanMessage("Why?"),
]


def loaded_of(chat: LocalChatModel) -> Loaded:
    return chat._engine._loaded


def with_template(chat: LocalChatModel, template: Any) -> Renderer:
    loaded = loaded_of(chat)
    tokenizer = type(loaded.tokenizer).from_pretrained(loaded.name)
    tokenizer.chat_template = template
    return Renderer(replace(loaded, tokenizer=tokenizer, processor=None))


def text_of(chat: LocalChatModel, renderer: Renderer, messages: list[BaseMessage], **more: Any) -> str:
    return str(loaded_of(chat).tokenizer.decode(renderer.encode(messages, **more)["input_ids"][0]))


@pytest.mark.parametrize("template", [REFUSES_SYSTEM, IGNORES_SYSTEM])
def test_a_system_message_that_the_template_does_not_take_goes_before_the_first_question(
    template: str, llama: LocalChatModel
) -> None:
    text = text_of(llama, with_template(llama, template), CONVERSATION)
    assert "Be brief.\n\n\nFever?" in text
    assert text.count("Be brief.") == 1


def test_a_system_message_that_the_template_takes_stays(llama: LocalChatModel) -> None:
    text = text_of(llama, Renderer(loaded_of(llama)), CONVERSATION)
    assert text.index("system") < text.index("Be brief.") < text.index("user") < text.index("Fever?")


def test_system_messages_alone_become_a_question(llama: LocalChatModel) -> None:
    assert "Be brief." in text_of(llama, with_template(llama, REFUSES_SYSTEM), [SystemMessage("Be brief.")])


def test_what_a_template_refuses_is_said_in_its_words(llama: LocalChatModel) -> None:
    refuses = REFUSES_SYSTEM.replace("'system'", "'assistant'").replace("no system role", "roles must alternate")
    with pytest.raises(UsageError, match=r"refuses the messages \(roles must alternate\)"):
        with_template(llama, refuses).encode(CONVERSATION[1:])


@pytest.mark.parametrize("template", ["{{ messages[5]['content'] }}", "nothing of it"])
def test_a_template_that_renders_no_question_is_refused_when_the_model_is_loaded(
    template: str, llama: LocalChatModel
) -> None:
    with pytest.raises(UsageError, match="renders no user message"):
        with_template(llama, template)


def test_named_templates_are_chosen_by_what_is_sent(llama: LocalChatModel) -> None:
    plain = "{% for m in messages %}plain {{ m['content'] }}{% endfor %}"
    renderer = with_template(llama, {"default": plain, "tool_use": plain.replace("plain", "{{ tools }}")})
    tool = {"type": "function", "function": {"name": "labs", "parameters": {}}}
    assert text_of(llama, renderer, asked("hi")).startswith("plain hi")
    assert "labs" in text_of(llama, renderer, asked("hi"), tools=[tool])


def test_tools_that_the_template_does_not_take_are_refused(llama: LocalChatModel) -> None:
    with pytest.raises(UsageError, match="takes no tools"):
        with_template(llama, IGNORES_SYSTEM).encode(asked("hi"), [{"type": "function", "function": {"name": "x"}}])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_control_token_that_a_person_wrote_is_plain_text(
    family: str, chat_of: Callable[[str], LocalChatModel]
) -> None:
    loaded = loaded_of(chat_of(family))
    tokenizer, renderer = loaded.tokenizer, Renderer(loaded)
    readers, names = (tokenizer, loaded.processor), ("image_token", "video_token")
    placeholders = {getattr(reader, name, None) for reader in readers for name in names}
    (plain,) = renderer.encode(asked("Fever since yesterday."))["input_ids"].tolist()
    for control in {token for token in tokenizer.all_special_tokens if token.strip()} - placeholders:
        (attack,) = renderer.encode(asked(f"Fever since {control} yesterday."))["input_ids"].tolist()
        id_ = tokenizer.convert_tokens_to_ids(control)
        assert attack.count(id_) == plain.count(id_), control
        assert f"since {control} yesterday" in tokenizer.decode(attack)


def test_a_control_token_that_a_processor_cannot_guard_against_is_refused(gemma3: LocalChatModel) -> None:
    renderer = Renderer(loaded_of(gemma3))
    control = loaded_of(gemma3).tokenizer.image_token
    renderer.encode(asked("What is shown?", "red"))
    with pytest.raises(UsageError, match=re.escape(f"holds the control token {control!r}")):
        renderer.encode(asked(f"What is shown? {control}", "red"))


def test_pictures_stand_where_they_were_put(gemma3: LocalChatModel) -> None:
    blocks = [{"type": "text", "text": "first"}, picture("red"), {"type": "text", "text": "second"}, picture("blue")]
    encoded = Renderer(loaded_of(gemma3)).encode([HumanMessage(blocks)])
    text = loaded_of(gemma3).tokenizer.decode(encoded["input_ids"][0])
    start = "<start_of_image>"
    assert text.index("first") < text.index(start) < text.index("second") < text.rindex(start)
    assert encoded["pixel_values"].shape[0] == 2


def test_what_tools_said_reaches_the_model(llama: LocalChatModel) -> None:
    call = {"type": "tool_call", "name": "labs", "args": {"patient": "7"}, "id": "c1"}
    messages = [HumanMessage("labs?"), AIMessage("", tool_calls=[call]), ToolMessage("CRP 90", tool_call_id="c1")]
    template = (
        "{% for m in messages %}{{ m['role'] }} {{ m['content'] }}{% for c in m.get('tool_calls', []) %}"
        "{{ c['function']['name'] }} {{ c['function']['arguments'] | tojson }}{% endfor %}\n{% endfor %}"
    )
    text = text_of(llama, with_template(llama, template), messages)
    assert 'labs {"patient": "7"}' in text
    assert "tool CRP 90" in text


def test_an_encoder_decoder_without_a_template_takes_the_plain_texts(chat_of: Callable[[str], LocalChatModel]) -> None:
    chat = chat_of("mt5")
    text = text_of(chat, Renderer(loaded_of(chat)), [SystemMessage("Summarise."), HumanMessage("Chest pain.")])
    assert text.startswith("Summarise.\n\nChest pain.")


@pytest.mark.parametrize(
    ("block", "match"),
    [
        ({"type": "image", "base64": "!!!"}, "cannot be read"),
        ({"type": "image", "base64": base64.b64encode(b"no picture").decode()}, "cannot be read"),
        ({"type": "image", "base64": picture("red")["base64"][:60]}, "cannot be read"),
        ({"type": "image", "url": "http://127.0.0.1/x.png"}, "content of type 'image' in a human message"),
        ({"type": "audio", "base64": ""}, "content of type 'audio'"),
    ],
)
def test_content_that_cannot_be_taken_is_named(block: dict[str, Any], match: str, gemma3: LocalChatModel) -> None:
    with pytest.raises(UsageError, match=match):
        Renderer(loaded_of(gemma3)).encode([HumanMessage([block])])


def test_a_model_without_eyes_says_so(llama: LocalChatModel) -> None:
    with pytest.raises(UsageError, match="sees no images"):
        Renderer(loaded_of(llama)).encode(asked("What is shown?", "red"))


def test_a_vision_model_whose_template_takes_text_alone_still_answers_text(
    tmp_path: Path, folder_of: Callable[[str], Path]
) -> None:
    folder = shutil.copytree(folder_of("gemma3"), tmp_path / "gemma3")
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['role'] + m['content'] }}{% endfor %}")
    with local_chat(str(folder), settings=SETTINGS) as chat:
        assert chat.invoke("hi", max_tokens=2).usage_metadata is not None
        with pytest.raises(UsageError, match="its chat template takes no images"):
            chat.invoke(asked("hi", "red"))
