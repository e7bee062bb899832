"""The commands of webhooks."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from lineage.cli.app import AsJson, First, Home, app, client_of
from lineage.errors import Conflict
from lineage.settings import Settings
from lineage.webhooks import WebhookEvent

if TYPE_CHECKING:
    from lineage.client import Webhook

webhooks = typer.Typer(no_args_is_help=True, help="Tell others what happens: list, create webhooks, see dead letters.")
app.add_typer(webhooks, name="webhook")

Which = Annotated[str, typer.Argument(help="Name of the webhook, or its id.")]
EVENTS = ", ".join(each.value.lower().replace("_", "-") for each in WebhookEvent)


@webhooks.command("list")
def list_webhooks(
    deleted: Annotated[bool, typer.Option("--deleted", help="Show deleted ones too.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Webhooks, and what each is told of."""
    from lineage.cli import printing

    found = client_of(home).webhooks(deleted=deleted)
    if as_json:
        printing.as_json({"webhooks": found})
        return
    rows = [(each.name, each.url, ", ".join(each.events), "paused" if each.paused else "") for each in found]
    printing.out.print(printing.table(rows, "name", "address", "events", ""))


@webhooks.command("create")
def create_webhook(
    name: Annotated[str, typer.Argument(help="Name of the webhook.")],
    url: Annotated[str, typer.Argument(help="Address that messages are posted to.")],
    event: Annotated[list[str], typer.Option(help=f"{EVENTS}; may be given more than once.")],
    kind: Annotated[list[str] | None, typer.Option(help="Of artifacts, only this kind.")] = None,
    secret: Annotated[str | None, typer.Option(help="Name of the secret, as `webhook secret` keeps it.")] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Tell it nothing until it is resumed.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Tell an address of events from now on."""
    _show(client_of(home).create_webhook(name, url, event, kinds=kind, secret=secret, paused=paused), as_json)


@webhooks.command("secret")
def new_secret(
    name: Annotated[str, typer.Argument(help="Name that webhooks know it by.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a secret, keep it in the data directory of this machine, and print it once for the receiver.

    Workers on other machines need the same file in their own data directory.
    """
    from lineage.cli import printing
    from lineage.webhooks import new_secret as fresh
    from lineage.webhooks import secret_path

    path, made = secret_path(Settings.from_environ(home=home), name), fresh()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made + "\n")
    except FileExistsError as error:
        raise Conflict(f"there is a secret {name!r} already; remove {path} first if it shall be replaced") from error
    printing.as_json({"name": name, "secret": made}) if as_json else print(made)


@webhooks.command("pause")
def pause_webhook(which: Which, home: Home = None, as_json: AsJson = False) -> None:
    """Tell a webhook nothing until it is resumed."""
    _show(client_of(home).pause_webhook(which), as_json)


@webhooks.command("resume")
def resume_webhook(which: Which, home: Home = None, as_json: AsJson = False) -> None:
    """Tell a webhook again, of what happens from now on."""
    _show(client_of(home).resume_webhook(which), as_json)


@webhooks.command("delete")
def delete_webhook(which: Which, home: Home = None, as_json: AsJson = False) -> None:
    """Tell a webhook nothing more."""
    _show(client_of(home).delete_webhook(which), as_json)


@webhooks.command("deliveries")
def list_deliveries(
    webhook: Annotated[str | None, typer.Argument(help="Id of the webhook; by default all.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters: what was given up.")] = False,
    first: First = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What was sent, and whether it arrived."""
    from lineage.cli import printing

    found = client_of(home).deliveries(webhook, states=["DEAD"] if dead else None, first=first)
    if as_json:
        printing.as_json({"total": found.total, "deliveries": list(found)})
        return
    rows = [(each.id, each.subject, each.state, each.attempts, each.error) for each in found]
    printing.out.print(printing.table(rows, "id", "what", "state", "attempts", "error"))


@webhooks.command("redeliver")
def redeliver(
    delivery: Annotated[str, typer.Argument(help="Id of the delivery.")], home: Home = None, as_json: AsJson = False
) -> None:
    """Try a delivery again."""
    from lineage.cli import printing

    found = client_of(home).redeliver(delivery)
    if as_json:
        printing.as_json(found)
    else:
        print(f"{found.id} {found.state}")


def _show(webhook: "Webhook", as_json: bool) -> None:
    from lineage.cli import printing

    if as_json:
        printing.as_json(webhook)
        return
    state = "deleted" if webhook.deleted_at else "paused" if webhook.paused else "on"
    print(f"{webhook.name} {webhook.id}: {', '.join(webhook.events)}, {state}")
