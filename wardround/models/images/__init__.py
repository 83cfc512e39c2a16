"""Images: read from where a case says they are, judged, and brought into one form that every vision server takes.

Bytes of an image never enter a case, a state or an event; a reference stands in their place, which is the SHA-256
of the bytes that are sent. `Pictures.inflate` puts the bytes in just before a model is asked.
"""

from wardround.models.images.gate import gate
from wardround.models.images.picture import Picture, Pictures, UnfitImage
from wardround.models.images.reading import read_picture

__all__ = ["Picture", "Pictures", "UnfitImage", "gate", "read_picture"]
