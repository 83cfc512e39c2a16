"""What holds for all tests."""

from wardround.testing.tiny import mend_torchvision

# Where torch is a CPU build and torchvision is not, transformers finds it broken; before anything imports it.
mend_torchvision()
