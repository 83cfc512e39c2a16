"""Grounding models with weights from a folder of this machine, through transformers (extra `local`).

Nothing is loaded before the first claim, nothing is fetched, and no code of a model's folder is run. No such model
has been measured on clinical text by us.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wardround.core.errors import UsageError
from wardround.core.extras import require
from wardround.tools.hallucination.grounding import Grounding

_LONGEST = 512
"""Tokens of premise and claim together; the premise is cut where it is longer."""
_UNGROUNDED = ("halluc", "unsupport", "baseless", "label_1")


class _Local:
    """A tokenizer and a model of one folder, loaded when first asked."""

    kind: str

    def __init__(self, folder: Path | str) -> None:
        """Use the model of a folder with config.json, weights and tokenizer.

        Raises:
            UsageError: There is no such folder, or no config.json in it.
        """
        self._folder = Path(folder)
        if not (self._folder / "config.json").is_file():
            raise UsageError(f"{self._folder}: holds no config.json; give the folder of a downloaded model")
        self._loaded: tuple[Any, Any, Any] | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self._folder.name

    def _load(self) -> tuple[Any, Any, Any]:
        if self._loaded is None:
            torch = require("torch", extra="local")
            transformers = require("transformers", extra="local")
            options = {"local_files_only": True, "trust_remote_code": False}
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(self._folder), **options)
            model = getattr(transformers, self.kind).from_pretrained(str(self._folder), **options)
            self._loaded = torch, tokenizer, model.eval()
        return self._loaded

    def _class(self, words: Sequence[str], what: str) -> int:
        _, _, model = self._load()
        names = {int(n): str(label).lower() for n, label in model.config.id2label.items()}
        found = next((n for n, label in sorted(names.items()) if any(word in label for word in words)), None)
        if found is None:
            known = ", ".join(names.values())
            raise UsageError(f"{self._folder}: none of its labels ({known}) means {what}; set id2label in config.json")
        return found


class NliModel(_Local):
    """A natural-language-inference cross-encoder: each premise with the claim, the best of each label is kept."""

    kind = "AutoModelForSequenceClassification"

    def ground(self, premises: Sequence[str], claim: str, /) -> Grounding:
        """Judge one claim.

        Raises:
            UsageError: The labels of the model do not say which is entailment and which is contradiction.
        """
        entailed = self._class(("entail", "support"), "entailment")
        refuted = self._class(("contra", "refut"), "contradiction")
        torch, tokenizer, model = self._load()
        pairs = [list(premises), [claim] * len(premises)]
        encoded = tokenizer(*pairs, truncation="only_first", max_length=_LONGEST, padding=True, return_tensors="pt")
        with torch.no_grad():
            probability = torch.softmax(model(**encoded).logits.double(), dim=-1)
        return Grounding(float(probability[:, entailed].max()), float(probability[:, refuted].max()))


class SpanModel(_Local):
    """A token classifier that marks what of the claim the premises do not hold; its tokenizer must be a fast one."""

    kind = "AutoModelForTokenClassification"

    def ground(self, premises: Sequence[str], claim: str, /) -> Grounding:
        """Judge one claim by the tokens of it that have no ground; it contradicts nothing.

        Raises:
            UsageError: The labels of the model do not say which means no ground.
        """
        loose = self._class(_UNGROUNDED, "text without ground")
        torch, tokenizer, model = self._load()
        encoded = tokenizer(
            "\n".join(premises),
            claim,
            truncation="only_first",
            max_length=_LONGEST,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        places = encoded.pop("offset_mapping")[0].tolist()
        parts = encoded.sequence_ids(0)
        with torch.no_grad():
            probability = torch.softmax(model(**encoded).logits[0].double(), dim=-1)[:, loose].tolist()
        told = [(tuple(at), p) for at, part, p in zip(places, parts, probability, strict=True) if part == 1]
        spans = _merged([(start, end, p) for (start, end), p in told if end > start])
        worst = max((p for _, p in told), default=1.0)
        return Grounding(supported=1.0 - worst, contradicted=0.0, spans=spans)


def _merged(tokens: Sequence[tuple[int, int, float]]) -> tuple[tuple[int, int, float], ...]:
    """Join neighbouring tokens that are more likely without ground than with it."""
    spans: list[tuple[int, int, float]] = []
    for start, end, probability in tokens:
        if probability < _EVEN:
            continue
        if spans and start - spans[-1][1] <= 1:
            first, _, most = spans[-1]
            spans[-1] = (first, end, max(most, probability))
        else:
            spans.append((start, end, probability))
    return tuple(spans)


_EVEN = 0.5
