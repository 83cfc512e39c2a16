"""Knowledge files that contradict their schema or one another are refused, with every fault."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from wardround.core.errors import KnowledgeError
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.loading import embedded, load

SOURCE = {"citation": "Somebody A. A study of something. Journal, 2020.", "year": 2020, "type": "cohort"}


def finding(code: str, background: float = 0.05, **more: Any) -> dict[str, Any]:
    return {
        "id": code,
        "name": code.replace("_", " "),
        "kind": "symptom",
        "how": "ask",
        "background": background,
        **more,
    }


def condition(code: str = "flu", **more: Any) -> dict[str, Any]:
    return {
        "id": code,
        "name": code,
        "icd10": "J10.1",
        "specialties": ["general_medicine"],
        "urgency": "routine",
        "prevalence": {"per_10000": 10},
        "criteria": "A short fever with cough.",
        "criteria_source": "study",
        "findings": {"fever": 0.8, "cough": 0.7, "rash": 0.1},
        **more,
    }


def presentation_file(**more: Any) -> dict[str, Any]:
    return {
        "presentation": {"id": "hot", "name": "fever", "complaints": ["fever"], "red_flags": ["rash"]},
        "sources": {"study": SOURCE},
        "conditions": [condition()],
        "passages": [{"id": "p1", "title": "On flu", "text": "Flu is hot.", "about": ["flu"], "source": "study"}],
        **more,
    }


def finding_file(**more: Any) -> dict[str, Any]:
    return {"findings": [finding("fever"), finding("cough"), finding("rash")], **more}


def with_figures(figures: dict[str, Any]) -> dict[str, Any]:
    return presentation_file(conditions=[condition(findings=figures)])


def analyte(code: str = "hemoglobin", **more: Any) -> dict[str, Any]:
    return {"id": code, "name": code, "unit": "g/dL", "ranges": [{"low": 12, "high": 16}], "plausible": [1, 27], **more}


def written(folder: Path, **files: Any) -> Path:
    (folder / "findings").mkdir()
    (folder / "presentations").mkdir()
    for name, content in files.items():
        kind, _, stem = name.partition("__")
        place = folder / {"f": "findings", "p": "presentations"}[kind] / f"{stem}.yaml"
        if isinstance(content, bytes):
            place.write_bytes(content)
        else:
            place.write_text(content if isinstance(content, str) else yaml.safe_dump(content), "utf-8")
    return folder


def faults(folder: Path, **files: Any) -> tuple[str, ...]:
    with pytest.raises(KnowledgeError) as caught:
        load(written(folder, **files))
    return caught.value.faults


def loaded(folder: Path, **files: Any) -> KnowledgeBase:
    return load(written(folder, **files))


def test_a_sound_folder_is_read(tmp_path: Path) -> None:
    kb = loaded(tmp_path, f__a=finding_file(), p__a=presentation_file())
    assert list(kb.findings) == ["fever", "cough", "rash"]
    assert list(kb.conditions) == ["flu"]
    assert kb.presentation_conditions == {"hot": ("flu",)}
    assert kb.sources["study"].year == 2020


def test_files_that_are_no_yaml_are_passed_over(tmp_path: Path) -> None:
    written(tmp_path, f__a=finding_file(), p__a=presentation_file())
    (tmp_path / "findings" / "notes.txt").write_text("{not yaml", "utf-8")
    assert list(load(tmp_path).conditions) == ["flu"]


def test_the_embedded_knowledge_is_read_once() -> None:
    assert embedded() is embedded()


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError) as caught:
        load(tmp_path)
    assert caught.value.faults == ("findings: there is no such folder", "presentations: there is no such folder")


@pytest.mark.parametrize("text", ["findings: [", "findings: {a: b: c}", "\tfindings: 1", "a: &x [*y]"])
def test_bad_yaml_is_named_with_its_file(tmp_path: Path, text: str) -> None:
    (fault,) = faults(tmp_path, f__broken=text, p__a=presentation_file())
    assert fault.startswith("broken.yaml: ")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, f__bytes=b"findings: \xff\xfe", p__a=presentation_file())
    assert fault.startswith("bytes.yaml: ")


def test_a_key_given_twice_is_a_fault(tmp_path: Path) -> None:
    text = yaml.safe_dump(presentation_file()).replace("cough: 0.7", "cough: 0.7\n    cough: 0.2")
    (fault,) = faults(tmp_path, f__a=finding_file(), p__twice=text)
    assert fault.startswith("twice.yaml: ")
    assert "cough is given twice" in fault


@pytest.mark.parametrize("content", ["", "[]", "just words", "42"])
def test_a_file_of_another_shape_is_a_fault(tmp_path: Path, content: str) -> None:
    (fault,) = faults(tmp_path, f__odd=content, p__a=presentation_file())
    assert fault.startswith("odd.yaml: ")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"background": 0.0}, "findings.0.background"),
        ({"background": 1.0}, "findings.0.background"),
        ({"background": "often"}, "findings.0.background"),
        ({"kind": "feeling"}, "findings.0.kind"),
        ({"how": "guess"}, "findings.0.how"),
        ({"id": "Fever"}, "findings.0.id"),
        ({"sex": "other"}, "findings.0.sex"),
        ({"colour": "red"}, "findings.0.colour"),
        ({"analyte": "hemoglobin"}, "findings.0"),
        ({"threshold": 3.0}, "findings.0"),
    ],
)
def test_a_finding_against_the_schema_is_named_with_its_place(
    tmp_path: Path, change: dict[str, Any], where: str
) -> None:
    bad = {**finding("fever"), **change}
    (fault,) = faults(tmp_path, f__a={"findings": [bad, finding("cough"), finding("rash")]}, p__a=presentation_file())
    assert fault.startswith(f"a.yaml: {where}: ")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"icd10": "flu"}, "conditions.0.icd10"),
        ({"specialties": []}, "conditions.0.specialties"),
        ({"urgency": "soon"}, "conditions.0.urgency"),
        ({"prevalence": {"per_10000": 0}}, "conditions.0.prevalence.per_10000"),
        ({"prevalence": {"per_10000": 5, "age": {"30": -1}}}, "conditions.0.prevalence.age.30"),
        ({"findings": {"fever": 0.8}}, "conditions.0.findings"),
        ({"must_not_miss": "perhaps"}, "conditions.0.must_not_miss"),
    ],
)
def test_a_condition_against_the_schema_is_named_with_its_place(
    tmp_path: Path, change: dict[str, Any], where: str
) -> None:
    found = faults(tmp_path, f__a=finding_file(), p__a=presentation_file(conditions=[condition(**change)]))
    assert all(fault.startswith(f"a.yaml: {where}") for fault in found)


def test_faults_of_the_schema_in_several_files_come_together(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        f__a={"findings": [finding("fever", 2.0), finding("cough", -1.0)]},
        f__b="findings: [",
        p__a=presentation_file(conditions=[condition(icd10="x", urgency="y")]),
    )
    assert len(found) == 5
    assert {fault.split(":")[0] for fault in found} == {"a.yaml", "b.yaml"}


def test_doubled_ids_are_counted(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        f__a={**finding_file(), "analytes": [analyte(), analyte()]},
        f__b={"findings": [finding("fever"), finding("fever")]},
        p__a=presentation_file(),
        p__b=presentation_file(),
    )
    assert set(found) == {
        "finding fever is defined 3 times",
        "analyte hemoglobin is defined 2 times",
        "condition flu is defined 2 times",
        "passage p1 is defined 2 times",
        "presentation hot is defined 2 times",
    }


def test_unknown_ids_are_all_named_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        f__a={
            "findings": [
                finding("fever"),
                finding("cough", implies=["noise"]),
                finding("rash", analyte="redness", direction="above"),
            ]
        },
        p__a={
            **presentation_file(),
            "presentation": {"id": "hot", "name": "hot", "complaints": ["heat"], "red_flags": ["stiffness"]},
            "conditions": [condition(findings={"fever": 0.8, "cough": 0.7, "sneezing": 0.5})],
            "passages": [{"id": "p1", "title": "t", "text": "t", "about": ["plague"], "source": "study"}],
        },
    )
    assert set(found) == {
        "finding cough implies unknown noise",
        "finding rash needs unknown analyte redness",
        "a.yaml: presentation names unknown finding heat",
        "a.yaml: presentation names unknown finding stiffness",
        "a.yaml: flu: unknown finding sneezing",
        "a.yaml: passage p1 is about unknown condition plague",
    }


def test_undeclared_sources_are_all_named_at_once(tmp_path: Path) -> None:
    figures = {"fever": {"p": 0.8, "source": "lost"}, "cough": 0.7, "rash": {"p": 0.1, "source": "graded"}}
    found = faults(
        tmp_path,
        f__a={**finding_file(), "analytes": [analyte(source="gone")]},
        p__a={
            **presentation_file(),
            "sources": {},
            "conditions": [condition(findings=figures)],
        },
    )
    assert set(found) == {
        "a.yaml: flu: undeclared criteria source study",
        "a.yaml: flu.fever: undeclared source lost",
        "a.yaml: passage p1 has no declared source study",
        "a.yaml: analyte hemoglobin has no declared source gone",
    }


def test_a_source_declared_in_another_file_does_not_count(tmp_path: Path) -> None:
    found = faults(tmp_path, f__a={**finding_file(), "sources": {"study": SOURCE}}, p__a=presentation_file(sources={}))
    assert set(found) == {
        "a.yaml: flu: undeclared criteria source study",
        "a.yaml: passage p1 has no declared source study",
    }


def test_a_narrow_finding_must_not_be_likelier_than_a_broad_one(tmp_path: Path) -> None:
    narrow = [finding("fever"), finding("cough"), finding("rash", 0.04, implies=["fever"])]
    figures = {"fever": 0.5, "cough": 0.7, "rash": 0.6}
    found = faults(
        tmp_path, f__a={"findings": narrow}, p__a=presentation_file(conditions=[condition(findings=figures)])
    )
    assert found == ("a.yaml: flu: rash is likelier than fever, which it implies",)


def test_a_narrow_finding_must_not_be_likelier_than_the_background_of_a_broad_one(tmp_path: Path) -> None:
    narrow = [finding("fever"), finding("cough"), finding("rash", 0.04, implies=["itch"]), finding("itch", 0.05)]
    found = faults(tmp_path, f__a={"findings": narrow}, p__a=presentation_file())
    assert found == ("a.yaml: flu: rash is likelier than itch, which it implies",)


def test_a_narrow_finding_must_not_be_commoner_than_a_broad_one(tmp_path: Path) -> None:
    narrow = [finding("fever"), finding("cough", 0.2, implies=["fever"]), finding("rash")]
    figures = {"fever": 0.9, "cough": 0.7, "rash": 0.1}
    found = faults(
        tmp_path, f__a={"findings": narrow}, p__a=presentation_file(conditions=[condition(findings=figures)])
    )
    assert found == ("finding cough is commoner than fever, which it implies",)


def test_a_finding_must_not_imply_itself(tmp_path: Path) -> None:
    circle = [finding("fever", implies=["cough"]), finding("cough", implies=["fever"]), finding("rash")]
    figures = {"fever": 0.7, "cough": 0.7, "rash": 0.1}
    found = faults(
        tmp_path, f__a={"findings": circle}, p__a=presentation_file(conditions=[condition(findings=figures)])
    )
    assert set(found) == {"finding fever implies itself", "finding cough implies itself"}


def test_many_faults_are_all_kept_and_the_first_are_shown(tmp_path: Path) -> None:
    many = [finding(f"f{n}", implies=["nothing"]) for n in range(30)]
    with pytest.raises(KnowledgeError) as caught:
        load(written(tmp_path, f__a={"findings": [*many, *finding_file()["findings"]]}, p__a=presentation_file()))
    assert len(caught.value.faults) == 30
    assert str(caught.value).startswith("30 faults in the knowledge files:")
    assert "(+10 more)" in str(caught.value)
