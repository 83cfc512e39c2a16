"""`wardround dashboard`: the pages on which a run can be followed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardround.cli.asking import BaseUrl
from wardround.cli.consult import Workspace
from wardround.cli.sandbox import LOCAL
from wardround.cli.terminal import print_json
from wardround.core.errors import UsageError
from wardround.core.extras import require


def dashboard(
    workspace: Workspace = Path(".wardround"),
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than this machine needs --token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None, typer.Option(help="What whoever looks must know.", envvar="WARDROUND_DASHBOARD_TOKEN")
    ] = None,
    base_url: BaseUrl = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser of this machine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as one JSON document.")] = False,
) -> None:
    """Serve the pages of all runs in a workspace until it is stopped."""
    if host not in LOCAL and not token:
        raise UsageError(f"--host {host} opens patients' data to others; give a --token, or listen on 127.0.0.1")
    for module in ("starlette", "jinja2", "uvicorn", "python_multipart"):
        require(module, extra="dashboard")
    from wardround.dashboard.app import create_app
    from wardround.environments.serving import serve

    def started(address: str) -> None:
        if as_json:
            print_json({"address": address, "workspace": str(workspace)})
        else:
            typer.echo(f"{address} shows the runs in {workspace}. Not for care. Ctrl-C stops it.")
        if open_:
            typer.launch(address)

    app = create_app(workspace, token=token or None, base_url=base_url)
    serve(app, host=host, port=port, path="/", started=started)
