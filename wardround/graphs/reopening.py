"""The ward of a run that is kept: with its model, settings, prices and calibration card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from wardround.core.calibration.card import Card
from wardround.core.errors import UsageError
from wardround.graphs.settings import ConsultSettings
from wardround.graphs.ward import Ward
from wardround.knowledge.clinician import KnowledgeClinician
from wardround.models.budget import Prices
from wardround.models.handle import ModelHandle
from wardround.models.local.settings import LocalSettings
from wardround.trace.events import CardNamed, Event, RunStarted
from wardround.trace.visits import is_record_agent


def reopened(
    events: Sequence[Event],
    *,
    workspace: str | Path | None,
    base_url: str | None = None,
    model: ModelHandle | None = None,
    clinician: KnowledgeClinician | None = None,
) -> Ward:
    """Return a ward with the settings of a run.

    Args:
        events: Its log.
        workspace: Where it is kept, or where what comes of it is to be.
        base_url: Of an OpenAI-compatible server.
        model: In place of the one that was asked.
        clinician: Knowledge other than the embedded one.

    Raises:
        UsageError: The log has no beginning, is a record agent's, or has settings that this version does not know.
    """
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    if started is None:
        raise UsageError("the run has no beginning in the log; it cannot be gone on with")
    settings = dict(started.settings)
    if is_record_agent([started]):
        what = f"run {started.run} is a record agent's"
        raise UsageError(f"{what}; where it waits, approve or refuse its write (wardround runs answer --approve)")
    local, prices = settings.pop("local", None), settings.pop("prices", None)
    suite = settings.pop("suite", None)
    for name in ("card", "fork"):  # both are in the log by themselves
        settings.pop(name, None)
    card = next((event.card for event in events if isinstance(event, CardNamed)), None)
    return Ward(
        model or started.model,
        settings=_settings(started.run, settings),
        workspace=workspace,
        base_url=base_url,
        local=LocalSettings.model_validate(local) if local is not None else None,
        prices=Prices.model_validate(prices) if prices is not None else None,
        card=Card.from_json(card) if card is not None else None,
        suite=suite,
        clinician=clinician,
    )


def _settings(run: str, given: dict[str, object]) -> ConsultSettings:
    try:
        return ConsultSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"run {run} was made with settings of another version ({where}: {first['msg']})"
        raise UsageError(f"{what}; consult the case anew") from error
