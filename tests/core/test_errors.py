"""Errors as one tree that can cross processes, and optional dependencies."""

import copy
import pickle
from pathlib import Path

import pytest

from wardround.core.errors import (
    BudgetExceeded,
    CaseError,
    KnowledgeError,
    MissingExtra,
    ModelError,
    ModelUnavailable,
    StoreError,
    ToolError,
    ToolRefused,
    ToolRetry,
    UnscriptedCall,
    UsageError,
    WardroundError,
)
from wardround.core.extras import require

ERRORS = [
    UsageError("write it so"),
    CaseError("it is empty", where="a.txt", mend="write at least the complaint"),
    MissingExtra("fhir.resources", "fhir"),
    KnowledgeError([f"fault {n}" for n in range(25)]),
    ModelError("m", "broke"),
    ModelUnavailable("m", "is down"),
    UnscriptedCall("m", "was asked too much"),
    ToolError("t", "broke"),
    ToolRetry("t", "wrong"),
    ToolRefused("t", "no"),
    BudgetExceeded("calls", 5, 6),
    StoreError("full"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_keeps_message_and_facts_across_processes(error: WardroundError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_has_the_one_root(error: WardroundError) -> None:
    assert isinstance(error, WardroundError)
    assert isinstance(error, UsageError) is (type(error) in (UsageError, CaseError, MissingExtra))


def test_messages_say_what_where_and_the_mend() -> None:
    assert str(ERRORS[1]) == "a.txt: it is empty; write at least the complaint"
    assert str(ERRORS[2]) == "fhir.resources is not installed; install it with: pip install 'wardround[fhir]'"
    assert str(ERRORS[10]) == "budget of 5 calls is used up (6); raise it or ask for less"


def test_a_long_list_of_faults_is_cut_in_the_message_and_whole_in_the_error() -> None:
    error = KnowledgeError([f"fault {n}" for n in range(25)])
    assert len(error.faults) == 25
    assert "fault 19" in str(error)
    assert "fault 20" not in str(error)
    assert str(error).endswith("(+5 more)")


def test_an_installed_module_is_returned() -> None:
    assert require("json.decoder", extra="none").JSONDecodeError.__name__ == "JSONDecodeError"


def test_a_missing_module_names_its_extra() -> None:
    with pytest.raises(MissingExtra, match=r"wardround\[shiny\]"):
        require("no_such_module_anywhere.part", extra="shiny")


def test_what_a_present_module_lacks_is_not_taken_for_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_installed.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        require("half_installed", extra="shiny")
