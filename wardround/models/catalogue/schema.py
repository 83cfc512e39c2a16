"""What stands in a catalogue file, checked strictly.

A statement about a model stands under the heading that says how sure it is: `measured` (families only), `stated`
by a named source, `likely` for a named reason, or `unknown`. Every statement stands in exactly one place.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from wardround.core.frozen import Frozen
from wardround.models.catalogue.vocabulary import Coordinates, ImageType, Modality, Reason, Served, Weights

Word = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Language = Annotated[str, StringConstraints(pattern=r"^([a-z]{2}|multilingual)$")]
"""An ISO 639-1 code, or `multilingual` where a source says so without a list."""
Flag = Annotated[str, StringConstraints(min_length=1)]
"""One word of a command line."""


class Source(Frozen):
    """Where a statement comes from."""

    title: Word
    kind: Literal["card", "paper", "repository", "documentation", "run"]
    """`card`: the model card; `run`: something that was run."""
    year: int = Field(ge=2019, le=2100)
    read: bool
    """Whether a copy was read when the statement was written; otherwise it is recalled."""


class _Block(Frozen):
    """Statements that are equally sure and come from the same place; what is not given is not said."""

    @model_validator(mode="after")
    def _something_and_no_null(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("says nothing; take it out")
        nulls = sorted(name for name in self.model_fields_set if getattr(self, name) is None)
        if nulls:
            raise ValueError(f"{', '.join(nulls)}: null says nothing; list it under `unknown`")
        return self


class ServingFacts(_Block):
    """What a family says for all its models; a model may say otherwise."""

    transformers_class: Word | None = None
    """Class that loads it, in transformers or in the repository of the weights; `none` where there is none."""
    remote_code: bool | None = None
    """Whether code that comes with the weights has to be trusted and run."""
    vllm: Served | None = None
    serve_flags: tuple[Flag, ...] | None = None
    """Words after `vllm serve NAME`, beside those for tool calls."""
    tool_calls: Word | None = None
    """Name of vLLM's parser for its native tool calls; `none` where it has no native tool calls."""
    logprobs: bool | None = None
    constrained: bool | None = None
    """Whether decoding can be held to a JSON schema where it is served."""
    image_token: Word | None = None
    """Stands in a raw prompt for an image; a chat template puts it there by itself. `none`: takes no images."""
    coordinates: Coordinates | None = None
    dtype: Literal["bfloat16", "float16", "float32"] | None = None
    """Number format of the published weights."""


class FamilyFacts(ServingFacts):
    """Statements about an architecture."""

    model_type: Word | None = None
    """As `config.json` names it."""
    processor: Word | None = None
    tiny: bool | None = None
    """Whether a tiny random model of it can be built from its configuration, offline."""


class ModelFacts(ServingFacts):
    """Statements about a model, or about all models of a series."""

    family: Word | None = None
    weights: Weights | None = None
    base: Word | None = None
    parameters: float | None = Field(default=None, gt=0, lt=2000)
    """Billions, of the whole model with its image encoder."""
    modalities: tuple[Modality, ...] | None = Field(default=None, min_length=1)
    image_types: tuple[ImageType, ...] | None = None
    languages: tuple[Language, ...] | None = Field(default=None, min_length=1)
    licence: Word | None = None
    """SPDX identifier, or the name the licence has."""
    gated: bool | None = None
    """Whether terms have to be accepted before the weights can be loaded."""
    research_only: bool | None = None
    """Whether its licence or its authors allow research alone."""
    context: int | None = Field(default=None, gt=0)
    """Tokens."""
    system_prompt: Word | None = None
    """What its authors say to put there; `none` where they need none."""
    image_placement: Word | None = None
    """Where images stand in a message; `none`: takes no images."""
    reasoning: Word | None = None
    """Form in which it thinks before it answers; `none` where it does not."""


MODEL_FIELDS = tuple(sorted(ModelFacts.model_fields))
FAMILY_FIELDS = tuple(sorted(FamilyFacts.model_fields))
SERVING_FIELDS = frozenset(ServingFacts.model_fields)


class _Said(Frozen):
    sources: dict[Word, Source] = Field(default_factory=dict)
    unknown: tuple[Word, ...] = ()
    """Names of what nothing is known of."""
    note: Word | None = None
    """What a user has to know and no field says."""


class ModelEntry(_Said):
    """One model; it adds to what its series says, and may say otherwise."""

    id: Word
    """Its id on the hub where that is known, which has a slash; else a short name."""
    name: Word
    folders: bool = False
    """Whether the id holds several checkpoints in folders, one of which has to be chosen."""
    stated: dict[Word, ModelFacts] = Field(default_factory=dict)
    likely: dict[Reason, ModelFacts] = Field(default_factory=dict)


class SeriesEntry(_Said):
    """Models that share a publication."""

    name: Word
    organisation: Word
    stated: dict[Word, ModelFacts] = Field(default_factory=dict)
    likely: dict[Reason, ModelFacts] = Field(default_factory=dict)
    models: tuple[ModelEntry, ...] = Field(min_length=1)


class FamilyEntry(_Said):
    """One architecture."""

    id: Word
    name: Word
    measured: dict[Word, FamilyFacts] = Field(default_factory=dict)
    stated: dict[Word, FamilyFacts] = Field(default_factory=dict)
    likely: dict[Reason, FamilyFacts] = Field(default_factory=dict)


class SeriesFile(Frozen):
    """A file of models."""

    series: tuple[SeriesEntry, ...] = Field(min_length=1)


class FamilyFile(Frozen):
    """The file of architectures."""

    sources: dict[Word, Source] = Field(default_factory=dict)
    """Shared by all families."""
    families: tuple[FamilyEntry, ...] = Field(min_length=1)
