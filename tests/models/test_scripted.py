"""A scripted model is strict both ways."""

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from pydantic import ValidationError

from wardround.core.answers import ToolChoice, TriageAnswer
from wardround.core.errors import ModelError, UnscriptedCall, UsageError
from wardround.knowledge.clinician import reference_clinician
from wardround.models.asking import response_format
from wardround.models.resolve import resolve
from wardround.models.scripted import ScriptedAnswer, ScriptedChatModel


def scripted(*steps: dict[str, Any]) -> ScriptedChatModel:
    return ScriptedChatModel(script=tuple(ScriptedAnswer.model_validate(step) for step in steps))


def ask(model: ScriptedChatModel, schema: type = ToolChoice, words: str = "hello") -> str:
    return str(model.invoke([HumanMessage(words)], response_format=response_format(schema)).text)


def test_each_call_gets_the_first_unused_step_that_fits() -> None:
    model = scripted(
        {"answer": "TriageAnswer", "says": "triage"},
        {"answer": "ToolChoice", "says": "first"},
        {"answer": "ToolChoice", "says": "second"},
    )
    assert [ask(model), ask(model), ask(model, TriageAnswer)] == ["first", "second", "triage"]
    model.assert_finished()


def test_an_object_is_said_as_json_and_text_as_it_stands() -> None:
    model = scripted({"answer": "*", "says": {"tool": None, "n": [1, 2]}}, {"answer": "*", "says": "no {json"})
    assert json.loads(ask(model)) == {"tool": None, "n": [1, 2]}
    assert ask(model) == "no {json"


def test_a_call_that_the_script_does_not_hold_is_an_error() -> None:
    model = scripted({"answer": "TriageAnswer", "says": "x"})
    with pytest.raises(UnscriptedCall, match="asked for ToolChoice"):
        ask(model)


def test_a_step_that_is_used_up_is_not_used_again() -> None:
    model = scripted({"answer": "ToolChoice", "says": "x", "times": 2})
    assert [ask(model), ask(model)] == ["x", "x"]
    with pytest.raises(UnscriptedCall, match="any more"):
        ask(model)


def test_steps_that_were_never_asked_for_are_named() -> None:
    model = scripted(
        {"answer": "ToolChoice", "says": "x"},
        {"answer": "TriageAnswer", "says": "y"},
        {"answer": "PlanAnswer", "says": "z", "times": 3},
    )
    ask(model)
    with pytest.raises(UnscriptedCall, match=r"2 steps were never asked for: TriageAnswer, PlanAnswer"):
        model.assert_finished()


def test_a_step_partly_used_is_still_left_over() -> None:
    model = scripted({"answer": "*", "says": "x", "times": 2})
    ask(model)
    with pytest.raises(UnscriptedCall, match="1 steps"):
        model.assert_finished()


def test_words_choose_the_step_by_the_last_message() -> None:
    model = scripted(
        {"answer": "*", "says": "heart", "when": "cardiology", "times": 5}, {"answer": "*", "says": "any", "times": 5}
    )
    assert ask(model, words="for cardiology now") == "heart"
    assert ask(model, words="for surgery") == "any"
    two = model.invoke([HumanMessage("cardiology"), HumanMessage("surgery")])
    assert two.text == "any"


def test_a_call_without_a_schema_fits_only_a_step_for_any() -> None:
    model = scripted({"answer": "ToolChoice", "says": "typed"}, {"answer": "*", "says": "any"})
    assert model.invoke("hello", response_format=None).text == "any"
    with pytest.raises(UnscriptedCall):
        model.invoke("hello")


def test_what_was_asked_is_kept() -> None:
    model = scripted({"answer": "*", "says": "x", "times": 2})
    ask(model, words="one")
    ask(model, words="two")
    assert [[m.text for m in messages] for messages in model.asked] == [["one"], ["two"]]


def test_two_models_of_one_script_do_not_share_their_place() -> None:
    step = ScriptedAnswer(answer="*", says="x")
    one, other = ScriptedChatModel(script=(step,)), ScriptedChatModel(script=(step,))
    ask(one)
    assert ask(other) == "x"


def test_an_unscripted_call_is_a_fault_of_the_model() -> None:
    assert issubclass(UnscriptedCall, ModelError)


@pytest.mark.parametrize(
    "step", [{"answer": "*"}, {"says": "x"}, {"answer": "*", "says": "x", "times": 0}, {"answer": 7, "says": "x"}]
)
def test_a_step_that_is_none_is_refused(step: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScriptedAnswer.model_validate(step)


def test_a_script_file_is_a_list_of_steps(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text(json.dumps([{"answer": "ToolChoice", "says": {"tool": None}}]), "utf-8")
    handle = resolve(f"scripted:{file}", clinician=reference_clinician())
    assert (handle.spec, handle.constrained, handle.sampled) == (f"scripted:{file}", True, False)
    assert isinstance(handle.chat, ScriptedChatModel)
    assert json.loads(ask(handle.chat)) == {"tool": None}


@pytest.mark.parametrize("text", ["", "{", "{}x", "7", '{"answer": "*"}', '["x"]', '[{"answer": "*"}]', "null"])
def test_a_file_that_is_no_script_is_named_with_the_mend(tmp_path: Path, text: str) -> None:
    file = tmp_path / "script.json"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=r"(?s)script\.json: not a script .*write a JSON list of steps"):
        ScriptedChatModel.from_file(file)


def test_a_file_that_is_not_text_is_no_script(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_bytes(b"\xff\xfe[")
    with pytest.raises(UsageError, match="not a script"):
        ScriptedChatModel.from_file(file)


def test_a_missing_script_is_named_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.json: cannot be read .*give a script file"):
        ScriptedChatModel.from_file(tmp_path / "gone.json")
