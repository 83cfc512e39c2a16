"""`python -m wardround`."""

from wardround.cli.main import run

run()
