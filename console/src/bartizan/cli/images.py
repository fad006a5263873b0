"""What images start, as the commands that embed learn it: from files that the user names, or from registries."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bartizan.cli.failure import Failure

if TYPE_CHECKING:
    from bartizan.embed import ImageConfig
    from bartizan.registry import Access, Credential, LookUp
    from bartizan.settings import ClientSettings


def image_sources(given: Sequence[str]) -> dict[str, str]:
    """Read `REF=SOURCE` options. Raises Failure for one without `=`."""
    sources = {}
    for option in given:
        reference, equals, source = option.partition("=")
        if not (reference and equals and source):
            raise Failure(f"`{option}` is not REF=SOURCE, such as `nginx=oci:./images/nginx`")
        sources[reference] = source
    return sources


def look_up_images(
    references: Iterable[str],
    *,
    given: Sequence[str],
    ask_registries: bool,
    architecture: str,
    client: "ClientSettings",
) -> dict[str, "ImageConfig"]:
    """
    Return what images start: from their `given` sources (`REF=SOURCE`), others from their registries if asked to.

    Images that are neither given nor may be asked for are left out. Raises Failure that names each image that could not
    be looked up.
    """
    from bartizan.registry import ImageError, look_up_all, look_up_source  # noqa: PLC0415 - keeps `--help` quick

    sources, access = image_sources(given), registry_access(client)
    found: dict[str, LookUp | ImageError] = {}
    left = []
    for reference in dict.fromkeys(references):
        if reference not in sources:
            left.append(reference)
            continue
        try:
            source = sources[reference]
            found[reference] = look_up_source(source, access=access, architecture=architecture, name=reference)
        except ImageError as error:
            found[reference] = error
    if ask_registries:
        found |= look_up_all(left, access=access, architecture=architecture)
    failed = [f"`{name}`: {answer}" for name, answer in found.items() if isinstance(answer, ImageError)]
    if failed:
        raise Failure(f"images cannot be looked up: {'; '.join(failed)}")
    return {
        name: _config(answer, sources.get(name, "its registry"))
        for name, answer in found.items()
        if not isinstance(answer, ImageError)
    }


def _config(found: "LookUp", origin: str) -> "ImageConfig":
    from bartizan.embed import ImageConfig  # noqa: PLC0415 - keeps `--help` quick

    image = found.config
    return ImageConfig(
        entrypoint=image.entrypoint,
        cmd=image.cmd,
        origin=origin,
        digest=found.digest,
        user=image.user,
        shell=image.shell,
        volumes=image.volumes,
        on_build=image.on_build,
    )


def registry_access(client: "ClientSettings") -> "Access":
    """
    Return how the command line reaches registries.

    The credential of the environment is for its own registry alone; others have that of Docker's configuration file,
    and Amazon ECR what botocore finds. Raises Failure for a configuration file that cannot be read.
    """
    from bartizan.registry import (  # noqa: PLC0415 - keeps `--help` quick
        Access,
        Credential,
        ImageError,
        docker_config_credentials,
        registry_name,
        run_credential_helper,
    )

    try:
        text = client.docker_config.read_text(encoding="utf-8") if client.docker_config.is_file() else "{}"
        docker = docker_config_credentials(text, run_helper=run_credential_helper)
        own = Credential(kind="basic", user=client.registry_user, secret=client.registry_password)
    except (OSError, UnicodeDecodeError, ImageError) as error:
        raise Failure(f"the credentials in `{client.docker_config}` cannot be used: {error}") from None
    home = registry_name(client.registry) if client.registry else None

    def credential(host: str) -> "Credential | None":
        return own if host == home else docker.get(host)

    return Access(credentials=credential, ca_bundle=client.registry_ca_file, chain=True)
