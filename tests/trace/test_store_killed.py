"""Writers that are killed outright lose nothing of what they were told was written."""

import json
import subprocess
import sys
from pathlib import Path

from wardround.trace.store import RunStore

SCRIPT = Path(__file__).with_name("killed_writer.py")
TIMES = 200
LONGEST = 40
"""As in the script."""


def test_a_log_survives_two_hundred_kills_at_random_moments(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, SCRIPT, tmp_path, str(TIMES), "7"], capture_output=True, text=True, check=True, timeout=300
    )
    told: dict[str, int] = json.loads(killed.stdout)
    store = RunStore(tmp_path)
    rows = store.runs()
    assert set(told) <= {row.id for row in rows}
    assert sum(len(store.events(row.id)) >= LONGEST for row in rows) > 3  # several writers wrote one after the other
    for row in rows:
        events = store.events(row.id)
        assert [event.seq for event in events] == list(range(len(events)))
        assert len(events) > told.get(row.id, -1)
        assert all(f"event {e.seq} of {row.id}" in e.messages[0]["content"] for e in events[1:])  # type: ignore[union-attr]
        store.verify(row.id)
    store.close()
