"""Which identifiers are taken out: the 18 classes of the HIPAA Safe Harbor rule.

Source: 45 CFR 164.514(b)(2)(i)(A) to (R), identifiers "of the individual or of relatives, employers, or household
members of the individual". The letters below are its paragraphs. Two things here differ from its letter on purpose:

- Dates are shifted and not cut down to the year (C), so that intervals stay; who needs the letter of Safe Harbor has
  to cut them as well. A shifted log is pseudonymised, not anonymous.
- Names of clinicians are taken out too, though the rule does not ask for it.
"""

from __future__ import annotations

from enum import StrEnum


class Identifier(StrEnum):
    """A class of identifier, with its paragraph of 45 CFR 164.514(b)(2)(i)."""

    NAME = "name"
    """(A)"""
    PLACE = "place"
    """(B) All geographic subdivisions smaller than a State."""
    DATE = "date"
    """(C) All elements of dates except year."""
    AGE = "age"
    """(C) Ages over 89, and elements of dates, year included, that tell them."""
    PHONE = "phone"
    """(D)"""
    FAX = "fax"
    """(E)"""
    EMAIL = "email"
    """(F)"""
    SOCIAL_SECURITY = "social_security"
    """(G)"""
    RECORD_NUMBER = "record_number"
    """(H) Medical record numbers; ids of resources are counted here too."""
    HEALTH_PLAN = "health_plan"
    """(I)"""
    ACCOUNT = "account"
    """(J)"""
    LICENCE = "licence"
    """(K) Certificate and license numbers."""
    VEHICLE = "vehicle"
    """(L)"""
    DEVICE = "device"
    """(M) Device identifiers and serial numbers."""
    URL = "url"
    """(N)"""
    IP_ADDRESS = "ip_address"
    """(O)"""
    BIOMETRIC = "biometric"
    """(P)"""
    PHOTOGRAPH = "photograph"
    """(Q) Full face photographs and comparable images; attachments that cannot be read are counted here too."""
    OTHER = "other"
    """(R) Any other unique identifying number, characteristic or code."""


PARAGRAPH: dict[Identifier, str] = dict(zip(Identifier, ("A", "B", "C", "C", *"DEFGHIJKLMNOPQR"), strict=True))
"""Letter of each class in 45 CFR 164.514(b)(2)(i)."""

OLDEST = 90
"""Ages from here on are one category, "90 or older" (paragraph C); it is written as this number."""
