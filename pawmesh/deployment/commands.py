"""``pawmesh deploy``: from an empty folder to a running deployment with an owner and collars."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from pawmesh.console import print_json, print_line
from pawmesh.deployment.certificates import expires_at, names_of
from pawmesh.deployment.folder import Secrets
from pawmesh.deployment.register import Deployment
from pawmesh.errors import PawmeshError

deploy_app = App(
    name="deploy",
    help="""The production form, as compose.yaml has it. See docs/how-to/deploy.md.""",
)

Folder = Annotated[Path, Parameter(name="--secrets", help="The folder that compose.yaml mounts.")]
CloudUrl = Annotated[str, Parameter(env_var="PAWMESH_CLOUD_URL", help="Where the cloud answers.")]
GatewayUrl = Annotated[
    str, Parameter(env_var="PAWMESH_GATEWAY_URL", help="Where the site's gateway answers.")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="One JSON document on stdout.")]
SECRETS = Path("deploy/secrets")
CLOUD_URL, GATEWAY_URL = "http://127.0.0.1:8600", "http://127.0.0.1:8601"


class WrongName(PawmeshError):
    """An id or a host name is none; the message says which."""

    exit_code = 2


@deploy_app.command(name="prepare")
def prepare(
    *, site: list[str], name: list[str] | None = None, folder: Folder = SECRETS, json: Json = False
) -> None:
    """Make all secrets of a deployment: authority, certificate, logins, keys, passwords.

    Every file has mode 0600. Made as root, as in the operator's container, each belongs to the
    user of the container that reads it. What is there is never overwritten.

    Args:
        site: Id of a group of collars with a gateway of its own; may be repeated.
        name: Host name or address that collars reach the broker by; may be repeated.
        folder: Made when missing.
        json: For programs.
    """
    try:
        Secrets(folder).prepare(site, name or [])
    except ValueError as error:
        raise WrongName(str(error)) from error
    made = Secrets(folder)
    names = names_of(made.read("broker.crt"))
    if json:
        print_json({"secrets": str(folder), "sites": made.sites, "broker_names": names})
        return
    print_line(f"Secrets for {', '.join(made.sites)} are in {folder}, mode 0600.")
    print_line(f"The broker's certificate is for {', '.join(names)}.")
    print_line("Keep a copy of the folder elsewhere, and ca.key nowhere else.")
    print_line("Next: docker compose up --detach --wait")
    print_line(
        "then: docker compose run --rm operator owner EMAIL --password-file FILE --site SITE"
    )


@deploy_app.command(name="site")
def site(site: str, *, folder: Folder = SECRETS) -> None:
    """Make the logins and keys of one more site. Restart the broker to have it read them.

    Args:
        site: Its id.
        folder: As prepared.
    """
    try:
        Secrets(folder).add_site(site)
    except ValueError as error:
        raise WrongName(str(error)) from error
    print_line(f"Its secrets are in {Secrets(folder).site(site)}.")
    print_line("Next: docker compose restart mosquitto, and a gateway for it in a compose file")


@deploy_app.command(name="rules")
def rules(*, folder: Folder = SECRETS) -> None:
    """Write the broker's access rules again, after an update that brought new kinds of message.

    Args:
        folder: As prepared.
    """
    Secrets(folder).refresh_rules()
    print_line("Next: docker compose restart mosquitto")


@deploy_app.command(name="certificate")
def certificate(*, name: list[str] | None = None, folder: Folder = SECRETS) -> None:
    """Give the broker a new certificate of the same authority, so that collars need nothing.

    Args:
        name: Host name or address that collars reach it by, may be repeated; without any, the
            names it has.
        folder: As prepared.
    """
    try:
        made = Secrets(folder).renew_certificate(name or [])
    except ValueError as error:
        raise WrongName(str(error)) from error
    print_line(f"It is for {', '.join(names_of(made.certificate))}")
    print_line(f"until {expires_at(made.certificate):%Y-%m-%d}.")
    print_line("Next: docker compose restart mosquitto")


@deploy_app.command(name="owner")
def owner(
    email: str,
    *,
    password_file: Path,
    site: str,
    folder: Folder = SECRETS,
    cloud: CloudUrl = CLOUD_URL,
    json: Json = False,
) -> None:
    """Create an owner, who can then sign in, and give them a site.

    Args:
        email: The owner's address, to sign in with.
        password_file: Holds the password, of at least 8 characters, in its first line.
        site: Id of the site that is theirs.
        folder: As prepared.
        cloud: Where the cloud answers.
        json: For programs.
    """
    try:
        password = password_file.read_text("utf-8").splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise WrongName(f"--password-file {password_file} holds no password: {error}") from error
    deployment = Deployment(secrets=Secrets(folder), cloud_url=cloud, gateway_url="")
    made = deployment.add_owner(email, password, site)
    if json:
        print_json(made)
    else:
        print_line(f"{email} can sign in (owner {made['owner_id']}); the site {site} is theirs")


@deploy_app.command(name="collar")
def collar(
    *,
    pet: str,
    site: str,
    species: str = "dog",
    broker: str = "localhost",
    keys: Path = Path("deploy/collars"),
    folder: Folder = SECRETS,
    cloud: CloudUrl = CLOUD_URL,
    gateway: GatewayUrl = GATEWAY_URL,
    json: Json = False,
) -> None:
    """Enrol a collar, and print how it connects.

    Args:
        pet: Name or id of the pet that wears it; a new name makes a new pet.
        site: Id of the site it belongs to.
        species: Of a new pet: dog or cat.
        broker: What the collar calls the broker by; a name in its certificate.
        keys: Folder for the collar's own keys.
        folder: As prepared.
        cloud: Where the cloud answers.
        gateway: Where the site's gateway answers.
        json: For programs.
    """
    deployment = Deployment(secrets=Secrets(folder), cloud_url=cloud, gateway_url=gateway)
    made = deployment.add_collar(site, pet, species, broker, keys)
    if json:
        print_json(made)
        return
    mqtt = made["mqtt"]
    print_line(f"{made['collar_id']} is on {pet} ({made['pet_id']}). It publishes under")
    print_line(f"  {made['topic_prefix']}/...")
    print_line(f"  at {mqtt['host']}:{mqtt['port']} over TLS as {mqtt['username']},")
    print_line(f"  password in {mqtt['password_file']}, authority in {mqtt['ca_file']},")
    print_line(f"  its own keys in {made['key_file']}")
    print_line("Next: docs/how-to/bring-your-own-collar.md")
