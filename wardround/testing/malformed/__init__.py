"""Malformed answers, by which a model's wrapper or a reader of answers is tested.

Small models break the form that they are asked for in many ways. What matters is that no breach is read as
an opinion which the model did not state:

>>> from wardround.models.parsing import Unreadable, parse_answer
>>> from wardround.core.answers import ToolChoice
>>> def read(text):
...     try:
...         return parse_answer(text, ToolChoice)
...     except Unreadable:
...         return None
>>> answer = ToolChoice(tool="guideline", argument="gout")
>>> list(misreadings(read, answer))
[]

A whole workflow is tested with `ScriptedChatModel`, which says what it is given: one malformed answer for
each shape that is asked for.
"""

from wardround.testing.malformed.answers import (
    EXAMPLES,
    Malformation,
    MalformedAnswer,
    malformed_answers,
    misreadings,
)
from wardround.testing.malformed.source import Reading

__all__ = ["EXAMPLES", "Malformation", "MalformedAnswer", "Reading", "malformed_answers", "misreadings"]
