"""`wardround sandbox`: the FHIR server and its population."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from wardround.cli.terminal import print_json
from wardround.core.errors import UsageError
from wardround.core.extras import require

sandbox = typer.Typer(
    help="A FHIR R4 server with a record that agents can really write to, reset, fork and compare.",
    no_args_is_help=True,
)

LOCAL = ("127.0.0.1", "localhost", "::1")


@sandbox.command()
def serve(
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8080,
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than this machine needs --token.")
    ] = "127.0.0.1",
    load: Annotated[
        list[Path] | None, typer.Option(help="NDJSON file, Bundle, or folder of them; may be given several times.")
    ] = None,
    generate: Annotated[int, typer.Option(help="How many synthetic patients to make.", min=0)] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic patients.", min=0)] = 0,
    profile: Annotated[
        Literal["r4", "medagentbench"], typer.Option(help="Strict R4, or also the shapes of MedAgentBench's functions.")
    ] = "r4",
    db: Annotated[Path | None, typer.Option(help="SQLite file that keeps the record; in memory without it.")] = None,
    token: Annotated[
        str | None, typer.Option(help="Bearer token that every request must have.", envvar="WARDROUND_SANDBOX_TOKEN")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse all writes.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Load files without validating them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as one JSON document.")] = False,
) -> None:
    """Serve a FHIR R4 record at /fhir/R4 until it is stopped."""
    if host not in LOCAL and token is None:
        raise UsageError(f"--host {host} opens the record to others; give a --token, or listen on 127.0.0.1")
    for module in ("starlette", "uvicorn", "simplejson", "jsonpatch", "fhir.resources"):
        require(module, extra="sandbox")
    from wardround.environments.fhir.sandbox import Sandbox
    from wardround.environments.serving import serve as run

    with Sandbox(db, profile=profile, token=token, read_only=read_only) as record:
        count = _fill(record, load or [], generate, seed, trust=trust, profile=profile, quiet=as_json)

        def told(base: str) -> None:
            _announce(base, count, as_json=as_json)

        run(record.app, host=host, port=port, path="/fhir/R4", started=told)


def _fill(record: Any, load: list[Path], generate: int, seed: int, *, trust: bool, profile: str, quiet: bool) -> int:
    from wardround.environments.fhir.ndjson import read_resources
    from wardround.environments.fhir.population import generate as patients

    sources: list[Iterable[dict[str, Any]]] = [
        read_resources(path, validated=not trust, profile=profile) for path in load
    ]
    if generate:
        sources.append(patients(generate, seed))
    if not sources:
        return 0
    return int(record.load(_counted(chain.from_iterable(sources), quiet=quiet)))


def _counted(resources: Iterable[dict[str, Any]], *, quiet: bool) -> Iterator[dict[str, Any]]:
    """Pass resources on, and say on standard error how many there were."""
    last = time.monotonic()
    for count, resource in enumerate(resources, start=1):
        yield resource
        if not quiet and time.monotonic() - last > 1.0:
            last = time.monotonic()
            typer.echo(f"\rloaded {count:,} resources", nl=False, err=True)
    if not quiet:
        typer.echo("\r" + " " * 40 + "\r", nl=False, err=True)


def _announce(base: str, count: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"base": base, "resources": count})
    else:
        typer.echo(f"FHIR R4 at {base} ({count:,} resources loaded; synthetic, not for care). Ctrl-C stops it.")


@sandbox.command()
def generate(
    out: Annotated[Path, typer.Option(help="NDJSON file to write.")],
    patients: Annotated[int, typer.Option(help="How many.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="The same seed makes the same patients.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make synthetic patients with coherent records, drawn from the embedded knowledge."""
    from wardround.environments.fhir.ndjson import write_resources
    from wardround.environments.fhir.population import generate as made

    count = write_resources(out, _counted(made(patients, seed), quiet=as_json))
    if as_json:
        print_json({"file": str(out), "patients": patients, "seed": seed, "resources": count})
    else:
        typer.echo(f"{out}: {count:,} resources of {patients:,} synthetic patients (seed {seed})")
