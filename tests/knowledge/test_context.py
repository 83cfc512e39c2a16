"""Whether a sentence says that something is so."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.finding import Assertion
from wardround.knowledge.context import PRECEDENCE, assertion_of

CORE = """
denial | Patient denies chest pain. | chest pain | absent
lack of evidence | No evidence of pulmonary embolism. | pulmonary embolism | absent
cannot be told | Cannot rule out myocardial infarction. | myocardial infarction | possible
over and done | Pneumonia has resolved. | Pneumonia | absent, historical
last of a denied list | Negative for fever, chest pain, and stroke. | stroke | absent
unchanged means there | No change in the pneumothorax. | pneumothorax | present
not grown means there | No increase in pneumothorax. | pneumothorax | present
doubt behind the target | Pulmonary embolism is unlikely. | Pulmonary embolism | possible, absent
not only | Not only chest pain but also fever. | chest pain | present
a relative's disease | Mother had breast cancer. | breast cancer | family
dated in the past | History of stroke in 2015. | stroke | historical
a condition for coming back | If fever develops, return. | fever | hypothetical
but ends a denial | Denies fever but reports chest pain. | chest pain | present
excluded by a test | CT ruled out pulmonary embolism. | pulmonary embolism | absent
still to be excluded | Rule out pneumonia. | pneumonia | possible
concern | Concern for pneumonia. | pneumonia | possible
without either | Without fever or chest pain. | chest pain | absent
exclusion behind the target | Pneumonia was excluded. | Pneumonia | absent
free of it | Chest pain free since yesterday. | Chest pain | absent
never known | No known history of diabetes. | diabetes | absent
asserted before a denial | Admitted with pneumonia, no pneumothorax. | pneumonia | present
one of two possibilities | Differential includes pneumonia versus pulmonary embolism. | pulmonary embolism | possible
thought of and not found | Stroke was considered but not found. | Stroke | absent
to be watched for | Monitor for fever. | fever | hypothetical
a parent's cause of death | Her father died of myocardial infarction. | myocardial infarction | family
"""

FURTHER = """
No fever, cough, or chest pain. | cough | absent
No fever, cough, or chest pain. | chest pain | absent
She denies fever, chills and night sweats. | night sweats | absent
Denies nausea, vomiting, diarrhoea, or abdominal pain. | abdominal pain | absent
Neither fever nor cough. | cough | absent
No fever nor chills were reported. | chills | absent
There was no vomiting, diarrhoea or rash. | rash | absent
He has no cough, and has chest pain. | chest pain | present
No cough. Chest pain since noon. | Chest pain | present
No fever; chest pain on exertion. | chest pain | present
No nausea or vomiting, but severe abdominal pain. | abdominal pain | present
No significant change in the headache. | headache | present
There has been no improvement in the cough. | cough | present
No relief of the chest pain with nitroglycerin. | chest pain | present
Chest pain not relieved by rest. | Chest pain | present
Gram negative bacteraemia with fever. | fever | present
The headache has not improved. | headache | present
Not sure why the chest pain started. | chest pain | present
He cannot sleep because of the cough. | cough | present
Paracetamol does not help the headache. | headache | present
Unable to walk because of leg pain. | leg pain | present
Fever: none. | Fever | absent
Chest pain: no. | Chest pain | absent
Cough - denied. | Cough | absent
Rash is absent. | Rash | absent
Murmur was not heard. | Murmur | absent
A rash was not seen. | rash | absent
The headache has now gone. | headache | absent
Pulmonary embolism has been ruled out. | Pulmonary embolism | absent
The fever has since settled. | fever | absent
Troponin was negative, chest pain persists. | chest pain | present
My daughter has a cough. | cough | present
My son has had a fever for two days. | fever | present
My baby has diarrhoea. | diarrhoea | present
His daughter has asthma. | asthma | family
Family history: breast cancer. | breast cancer | family
Family history of sudden death. | sudden death | family
FH: stroke. | stroke | family
Two sisters with migraine. | migraine | family
A maternal aunt had a stroke. | stroke | family
His brother has asthma and he has a cough. | cough | present
My mother has diabetes. | diabetes | family
Diabetes runs in the family. | Diabetes | family
No family history of breast cancer. | breast cancer | family,absent
Mother reports that the child has a fever. | fever | present
Mother says he has a rash. | rash | present
Return if chest pain recurs. | chest pain | hypothetical
Come back if you develop a fever. | fever | hypothetical
Call if vomiting worsens. | vomiting | hypothetical
She was warned about bleeding. | bleeding | hypothetical
At risk of pulmonary embolism. | pulmonary embolism | hypothetical
Take paracetamol as needed for pain. | pain | hypothetical
Heparin for prophylaxis of deep vein thrombosis. | deep vein thrombosis | hypothetical
He is worried about a stroke. | stroke | hypothetical
Should fever develop, return at once. | fever | hypothetical
If you get chest pain or breathlessness, call an ambulance. | breathlessness | hypothetical
Return if fever. She has a cough today. | cough | present
Possible pneumonia. | pneumonia | possible
Suspected appendicitis. | appendicitis | possible
CT to rule out pulmonary embolism. | pulmonary embolism | possible
r/o stroke | stroke | possible
Pulmonary embolism cannot be excluded. | Pulmonary embolism | possible
Pneumonia vs heart failure. | heart failure | possible
Pneumonia vs heart failure. | Pneumonia | possible
Could be pneumonia. | pneumonia | possible
Query appendicitis. | appendicitis | possible
Pneumonia is possible. | Pneumonia | possible
?appendicitis | appendicitis | possible
Appendicitis? | Appendicitis | possible
Is it appendicitis? | appendicitis | hypothetical
Could this be a stroke? | stroke | hypothetical
Does he have a fever? | fever | hypothetical
Any chest pain? | chest pain | hypothetical
Stroke is in the differential. | Stroke | possible
Meningitis could not be excluded. | Meningitis | possible
h/o stroke | stroke | historical
PMH: stroke, migraine. | migraine | historical
PMH: stroke, migraine. | stroke | historical
PMHx of asthma. | asthma | historical
s/p appendicectomy for appendicitis | appendicitis | historical
Past medical history includes gout. | gout | historical
Past medical history: gout, asthma and stroke. | stroke | historical
He had a stroke three years ago. | stroke | historical
Asthma as a child. | Asthma | historical
Pneumonia in 2019. | Pneumonia | historical
Previous pulmonary embolism. | pulmonary embolism | historical
She had pneumonia last year. | pneumonia | historical
A history of chest pain for two hours. | chest pain | present
He gives a 3-day history of cough. | cough | present
Two-week history of headache. | headache | present
Presents with a history of fever and cough since Monday. | cough | present
c/o chest pain | chest pain | present
Denies fever, c/o cough. | cough | present
w/o fever | fever | absent
Cough w/o fever. | Cough | present
c/o headache w/o vomiting | vomiting | absent
h/o migraine, c/o headache | headache | present
Does not deny chest pain. | chest pain | present
She does not deny alcohol use. | alcohol use | present
There is no doubt that he has pneumonia. | pneumonia | present
Never without pain. | pain | present
Not without chest pain. | chest pain | present
No longer has chest pain. | chest pain | absent
Chest pain has not resolved. | Chest pain | present
No further chest pain. | chest pain | absent
Denies any chest pain although he reports breathlessness. | breathlessness | present
Apart from a cough there is no fever. | cough | present
No symptoms except for a cough. | cough | present
No complaints other than a headache. | headache | present
Headache without fever, and with photophobia. | photophobia | present
No fever however there is a rash. | rash | present
The pain is worse on walking, no swelling. | pain | present
Not vomiting. | vomiting | absent
He isn't vomiting. | vomiting | absent
I don't have a fever. | fever | absent
I have no idea why I have this rash. | rash | present
I haven't had any chest pain. | chest pain | absent
Never had a seizure. | seizure | absent
Lungs are clear of crackles. | crackles | absent
Free of pain. | pain | absent
The CT failed to show appendicitis. | appendicitis | absent
Chest X-ray showed no consolidation, effusion, or pneumothorax. | effusion | absent
Without nausea, vomiting, or fever. | fever | absent
Absence of fever and cough. | cough | absent
ROS: negative for chest pain, cough, fever, rash. | rash | absent
Social history: smoker. | smoker | present
Allergies: none. Rash on the arms. | Rash | present
Examination: no rash. | rash | absent
On examination: rash on the trunk. | rash | present
No rash on examination, abdomen tender. | tender | present
Past medical history: none. Headache today. | Headache | present
The 60-year-old man has chest pain. | chest pain | present
Old man with a cough. | cough | present
Known asthma, wheeze since this morning. | wheeze | present
Advised to return if the rash spreads. | rash | hypothetical
Resolution of the headache. | headache | absent
No one else at home has a cough. | cough | absent,present
His wife has a cough. | cough | family
Contact with a brother with measles. | measles | family
Patient's mother denies fever in the child. | fever | absent
If the pain returns, seek help. | pain | hypothetical
Fever, but no cough. | Fever | present
Fever, but no cough. | cough | absent
Nothing to suggest meningitis. | meningitis | absent
No features of meningitis. | meningitis | absent
No signs or symptoms of stroke. | stroke | absent
Stroke seems unlikely. | Stroke | possible,absent
There is not any rash. | rash | absent
Not known to have diabetes. | diabetes | absent
No past history of asthma. | asthma | absent
No h/o asthma. | asthma | absent
Denies PMH of stroke. | stroke | absent
The patient's pain is not controlled. | pain | present
Vomiting has stopped. | Vomiting | absent
Recurrence of chest pain. | chest pain | present
Chest pain last week, none since. | Chest pain | absent,historical,present
Rather than chest pain he has abdominal pain. | abdominal pain | present
Was the cough productive? | cough | hypothetical
Evaluate for pulmonary embolism. | pulmonary embolism | possible
Mother with breast cancer, patient has a breast lump. | breast lump | present
Grandfather died of a stroke at 60; the patient has a headache. | headache | present
Monitoring for seizures. | seizures | hypothetical
In case of bleeding, press. | bleeding | hypothetical
Childhood asthma. | asthma | historical
Status post stroke. | stroke | historical
Stroke at age 40. | Stroke | historical
No increase in the pleural effusion since yesterday. | pleural effusion | present
No worsening of the cough. | cough | present
The pain does not radiate to the arm. | radiate to the arm | absent
No radiation of the pain. | pain | present,absent
She did not have a fever. | fever | absent
Cough but not fever. | fever | absent
Patient has no fever and no chills but a rash. | chills | absent
Patient has no fever and no chills but a rash. | rash | present
Brought in by his mother with a fever. | fever | present
Brought to hospital by her father with vomiting. | vomiting | present
Her mother noticed a rash. | rash | present
His wife has noticed jaundice. | jaundice | present
Her cough is not productive. | cough | present
The rash is not itchy. | rash | present
The pain isn't severe. | pain | present
A cough is not reported. | cough | absent
Fever: no. | Fever | absent
Cough: no sputum. | Cough | present
Fever - none, rash - none. | rash | absent
Why do I have chest pain? | chest pain | present
How long have you had the cough? | cough | present
Do you have any chest pain or cough? | cough | hypothetical
Any fever, cough, or rash? | rash | hypothetical
I have a fever, is it measles? | fever | present
I have a fever, is it measles? | measles | hypothetical
Is the headache worse in the morning? | headache | hypothetical
I have a rash, what should I do? | rash | present
Is this a stroke? | stroke | hypothetical
PMH: no asthma. | asthma | absent
PMH: asthma. Now wheezing. | wheezing | present
PMH: gout, hypertension, type 2 diabetes and previous stroke with left-sided weakness, asthma. | asthma | historical
FH: none. Cough for two days. | Cough | present
Family history: father with stroke, mother with migraine. | migraine | family
ddx: pneumonia, pulmonary embolism | pulmonary embolism | possible
Differential diagnosis includes pneumonia and pulmonary embolism. | pulmonary embolism | possible
DDx: pneumonia vs pulmonary embolism. | pneumonia | possible
Denies: fever, cough, rash. | rash | absent
ROS negative for: fever, cough. | cough | absent
History of asthma for which he takes an inhaler. | asthma | historical
History of stroke, on aspirin for two years. | stroke | historical
History of diabetes for ten years. | diabetes | present
He has a 20-year history of migraine. | migraine | present
Presented with a two-day history of vomiting. | vomiting | present
History of fever since Monday. | fever | present
A three-day history of fever without cough. | cough | absent
Does not deny alcohol use but denies chest pain. | chest pain | absent
No absence of breath sounds. | breath sounds | present
Has never denied chest pain. | chest pain | present
Fever was not a feature. | Fever | absent
Rash - not present. | Rash | absent
Chest pain has not gone. | Chest pain | present
Her fever has not resolved. | fever | present
?pulmonary embolism, ?pneumonia | pneumonia | possible
Question of pneumonia. | pneumonia | possible
No known drug allergies, rash since yesterday. | rash | present
No improvement of the rash or cough. | cough | present
Without chest pain, he walks a mile. | walks a mile | present
She has had no fever for two days. | fever | absent
No fever or chills; rash present. | rash | present
His colleague has measles. | measles | family
Could you be pregnant? | pregnant | hypothetical
She could be pregnant. | pregnant | possible
Not pregnant. | pregnant | absent
Not currently pregnant. | pregnant | absent
"""

BASIC = [tuple(cell.strip() for cell in line.split(" | ")) for line in CORE.strip().splitlines()]
STRESS = [tuple(cell.strip() for cell in line.split(" | ")) for line in FURTHER.strip().splitlines()]


def said_of(sentence: str, target: str) -> Assertion:
    start = sentence.lower().index(target.lower())
    return assertion_of(sentence, start, start + len(target))


def test_the_tables_are_as_long_as_they_should_be() -> None:
    assert len(BASIC) == 25
    assert len(STRESS) >= 200


@pytest.mark.parametrize(("sentence", "target", "expected"), [row[1:] for row in BASIC], ids=[r[0] for r in BASIC])
def test_the_basic_patterns_of_clinical_prose_are_told_apart(sentence: str, target: str, expected: str) -> None:
    assert said_of(sentence, target).value in expected.split(", ")


@pytest.mark.parametrize(("sentence", "target", "expected"), STRESS, ids=[f"{r[0]} [{r[1]}]" for r in STRESS])
def test_a_sentence_is_understood_as_a_clinician_means_it(sentence: str, target: str, expected: str) -> None:
    assert said_of(sentence, target).value in expected.split(",")


def test_family_wins_over_everything_and_history_over_presence_alone() -> None:
    assert PRECEDENCE == (
        Assertion.FAMILY,
        Assertion.HYPOTHETICAL,
        Assertion.POSSIBLE,
        Assertion.ABSENT,
        Assertion.HISTORICAL,
    )


@pytest.mark.parametrize(
    ("sentence", "target", "expected"),
    [
        ("No family history of breast cancer.", "breast cancer", Assertion.FAMILY),
        ("Return if there is any fever.", "fever", Assertion.HYPOTHETICAL),
        ("Cannot rule out previous stroke.", "stroke", Assertion.POSSIBLE),
        ("No previous stroke.", "stroke", Assertion.ABSENT),
        ("Come back if she has a fever.", "fever", Assertion.HYPOTHETICAL),
        ("If the patient develops chest pain, call.", "chest pain", Assertion.HYPOTHETICAL),
    ],
)
def test_where_two_readings_meet_the_stronger_one_stands(sentence: str, target: str, expected: Assertion) -> None:
    assert said_of(sentence, target) is expected


def test_a_bare_no_reaches_on_only_over_findings_that_are_known() -> None:
    sentence = "No fever, cough, sore throat."
    start = sentence.index("sore throat")
    known = [(3, 8), (10, 15)]
    assert assertion_of(sentence, start, start + 11, known) is Assertion.ABSENT
    assert assertion_of(sentence, start, start + 11) is Assertion.PRESENT


def test_a_trigger_does_not_reach_over_a_long_stretch_of_words() -> None:
    filler = "the old grey brick house with one blue front door and garden wall"
    sentence = f"Without {filler} headache."
    assert said_of(sentence, "headache") is Assertion.PRESENT
    assert said_of("Without much headache.", "headache") is Assertion.ABSENT


def test_the_trigger_inside_the_target_says_nothing_of_it() -> None:
    assert said_of("There are absent bowel sounds.", "absent bowel sounds") is Assertion.PRESENT
    assert said_of("There are no absent bowel sounds.", "absent bowel sounds") is Assertion.ABSENT


def test_every_trigger_of_absence_before_its_target_works_in_capitals() -> None:
    for lead in ("NO", "DENIES", "WITHOUT", "NEGATIVE FOR", "FREE OF", "NEVER", "W/O", "NO EVIDENCE OF", "NO SIGNS OF"):
        assert said_of(f"{lead} FEVER", "fever") is Assertion.ABSENT, lead


def test_a_word_that_only_begins_like_a_trigger_is_none() -> None:
    for sentence in ("Normal fever chart.", "Nocturnal fever.", "Notable fever.", "Iffy fever.", "Nosocomial fever."):
        assert said_of(sentence, "fever") is Assertion.PRESENT, sentence


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_around_a_target_is_read_without_complaint(before: str, after: str) -> None:
    sentence = f"{before} fever {after}"
    start = len(before) + 1
    assert assertion_of(sentence, start, start + 5) in set(Assertion)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["fever", "cough", "rash", "nausea", "headache", "chills"]), min_size=2, unique=True))
def test_all_items_of_a_denied_list_are_denied(items: list[str]) -> None:
    sentence = f"Denies {', '.join(items[:-1])} or {items[-1]}."
    assert {said_of(sentence, item) for item in items} == {Assertion.ABSENT}


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["fever", "cough", "rash"]),
    st.sampled_from(["but", "however", "although", "yet", "except for"]),
    st.sampled_from(["headache", "nausea", "chest pain"]),
)
def test_a_word_of_contrast_ends_a_denial(denied: str, contrast: str, had: str) -> None:
    sentence = f"There is no {denied} {contrast} {had}."
    assert said_of(sentence, denied) is Assertion.ABSENT
    assert said_of(sentence, had) is Assertion.PRESENT
