"""Tiny models with random weights, built offline in a second: real architectures, processors and chat templates.

What they say is noise until they are taught; what surrounds them is what surrounds the real ones. They serve to test
that a model of a family loads, is prompted, held to a schema and served, on any machine and without a download:

    from pathlib import Path
    from wardround.testing.tiny import Lesson, build, teach

    folder = build("gemma3", Path("tiny-gemma3"))
    teach(folder, [Lesson([{"role": "user", "content": "Well?"}], "Yes.")], out=Path("taught-gemma3"))

torch and transformers have to be installed (`pip install 'wardround[local]'`); they are imported when a model is built.
"""

from wardround.testing.tiny.building import CONTEXT, FAMILIES, SEEING, build
from wardround.testing.tiny.teaching import Lesson, teach
from wardround.testing.tiny.torchvision import mend_torchvision

__all__ = ["CONTEXT", "FAMILIES", "SEEING", "Lesson", "build", "mend_torchvision", "teach"]
