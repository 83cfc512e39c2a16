"""How often a record is untidy, and in which way: the shares that are properties of records, not of patients.

All are own choices, graded by what makes a record hard to read in practice; none is a published figure. They are
constants so that two populations of the same seed are the same, and so that a report can name them.
"""

from __future__ import annotations

INPATIENT_NOW = 0.12
"""Of the living patients, those whose last hospital stay is still going on at the end."""
DECEASED = 0.05
"""Of all patients, those who died within the years of the record."""
DIED_IN_HOSPITAL = 0.6
"""Of the deceased, those whose last stay ends with their death."""
NAMESAKE_EVERY = 25
"""One patient in so many has the full name and sex of the patient before, with another birth date."""

OTHER_UNIT = 0.02
"""Of laboratory results whose analyte has another unit in use, those that are reported in it."""
PRELIMINARY = 0.01
"""Of laboratory results, those that were never made final."""
PRELIMINARY_HOURS = 1.0
"""Results sampled less than so many hours before the end are preliminary."""
CORRECTED = 0.008
"""Of laboratory results, those with status corrected."""
AMENDED = 0.005
"""Of laboratory results, those with status amended."""
ENTERED_IN_ERROR = 0.005
"""Of laboratory results, those withdrawn: status entered-in-error, with a value that is not the patient's."""
NO_VALUE = 0.004
"""Of laboratory results, those without a value, with the reason."""

DUPLICATE_CONDITION = 0.06
"""Of long-lasting conditions, those entered a second time under the same code."""
CONDITION_IN_ERROR = 0.01
"""Of long-lasting conditions, those that were entered for the wrong patient: verification status entered-in-error."""
INACTIVE_CONDITION = 0.08
"""Of long-lasting conditions, those entered as inactive."""
UNCONFIRMED_CONDITION = 0.05
"""Of diagnoses of an encounter, those entered as provisional."""

STOPPED_MEDICATION = 0.14
"""Of long-term drugs, those stopped before the end."""
DUPLICATE_MEDICATION = 0.03
"""Of long-term drugs, those with a second active order for the same drug."""
CANCELLED_ORDER = 0.04
"""Of orders for a test, those revoked and not carried out."""
DOSE_NOT_GIVEN = 0.03
"""Of doses due in a stay, those recorded as not given."""
DOSE_BY_REFERENCE = 0.25
"""Of intravenous doses, those that name the formulary's Medication instead of a code."""

ANY_ALLERGY = 0.24
"""Of patients, those with at least one allergy recorded."""
NO_KNOWN_ALLERGY = 0.45
"""Of patients, those of whom it is recorded that no allergy is known; of the rest nothing is recorded."""
REFUTED_ALLERGY = 0.06
"""Of allergies, those that a test refuted."""

MISSED_VISIT = 0.06
"""Of planned clinic visits, those to which the patient did not come; half of them were cancelled."""
VACCINE_DECLINED = 0.04
"""Of vaccinations due, those recorded as not done."""
OTHER_NAME = 0.07
"""Of patients, those with a second name in the record: maiden name or nickname."""
PROVENANCE = 0.04
"""Of notes, those with a Provenance."""
AUDITED = 0.15
"""Of encounters in hospital, those with an AuditEvent for opening the chart."""
