"""`wardround models`: the catalogue, and whether a model answers."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from wardround.cli.asking import MODEL_HELP, BaseUrl, Device, Dtype, Quantisation, local_settings
from wardround.cli.terminal import print_json
from wardround.models.catalogue.vocabulary import ImageType, Modality

models = typer.Typer(
    help="What is known of models that can be asked, how sure it is, and whether one answers.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@models.command("list")
def list_models(
    modality: Annotated[Modality | None, typer.Option(help="What goes in or comes out.")] = None,
    image_type: Annotated[ImageType | None, typer.Option(help="Kind of picture it was made for.")] = None,
    licence: Annotated[str | None, typer.Option(help="Part of the licence's name, in any case.")] = None,
    served: Annotated[
        Literal["vllm", "hf"] | None,
        typer.Option(help="On vLLM's list, or loaded by a class of transformers or of its own repository."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List models, sorted by id; a filter lets through what is known to be so."""
    from wardround.models.catalogue.facts import Filters
    from wardround.models.catalogue.loading import embedded

    selection = embedded().select(Filters(modality=modality, image_type=image_type, licence=licence, served=served))
    if as_json:
        print_json({"models": [model.to_json() for model in selection.models], "undecided": selection.undecided})
        return
    from rich.console import Console

    from wardround.cli.catalogue import show_list

    show_list(selection, Console(highlight=False))


@models.command()
def show(
    model: Annotated[str, typer.Argument(metavar="ID", help="Id of a model, as `wardround models list` shows it.")],
    as_json: Json = False,
) -> None:
    """Show one model: what is known, how sure it is, where from, and how to serve it."""
    from wardround.models.catalogue.loading import embedded
    from wardround.models.catalogue.serving import consult_command, memory, serve_command

    catalogue = embedded()
    found = catalogue.find(model)
    if as_json:
        computed = {
            "memory": [entry.to_json() for entry in memory(found)],
            "commands": {"serve": serve_command(found), "consult": consult_command(found)},
        }
        print_json({**found.to_json(), **computed})
        return
    from rich.console import Console

    from wardround.cli.catalogue import show_model

    show_model(found, catalogue, Console(highlight=False))


@models.command()
def check(
    spec: Annotated[str, typer.Argument(help=MODEL_HELP)],
    base_url: BaseUrl = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=86_400, help="Seconds for one call.")] = 120.0,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Of the answer to the question.")] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantisation: Quantisation = None,
    as_json: Json = False,
) -> None:
    """Ask a model one question and try what it can do; exit code 1 where it gives no answer of the right shape."""
    import asyncio

    from rich.console import Console

    from wardround.knowledge.clinician import reference_clinician
    from wardround.models.catalogue.check import check as checked

    local = local_settings(spec, device=device, dtype=dtype, quantisation=quantisation)
    with Console(stderr=True).status("asking ..."):
        result = asyncio.run(
            checked(
                spec,
                clinician=reference_clinician(),
                base_url=base_url,
                seconds=timeout,
                local=local,
                max_tokens=max_tokens,
            )
        )
    if as_json:
        print_json(result.to_json())
    else:
        from wardround.cli.catalogue import show_check

        show_check(result, Console(highlight=False))
    if not result.usable:
        raise typer.Exit(1)
