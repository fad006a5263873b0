"""Where the commands that embed learn what images start: from what the user names, and from registries."""

from typing import TYPE_CHECKING

from bartizan.cli.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bartizan.embed import ImageConfig
    from bartizan.registry import Access
    from bartizan.registry import ImageConfig as RegistryConfig
    from bartizan.settings import ClientSettings


class Images:
    """Looks images up: `given` names where some are (`REF=SOURCE`), registries are asked when `ask_registries`."""

    def __init__(self, client: "ClientSettings", given: list[str], *, ask_registries: bool) -> None:
        self._client = client
        self._sources = image_sources(given)
        self._ask = ask_registries
        self._access: Access | None = None

    def config(self, *names: str | None, architecture: str = "amd64") -> "ImageConfig | None":
        """Return what the image starts that is known by one of `names`, the reference first; None when unknown.

        Raises Failure when it was named or may be asked for, and cannot be read.
        """
        from bartizan.registry import ImageError, look_up_source  # noqa: PLC0415 - keeps `--help` quick

        known = [name for name in names if name is not None]
        source = next((self._sources[name] for name in known if name in self._sources), None)
        if source is None and self._ask:
            source = names[0]
        if source is None:
            return None
        if source.startswith("dir:"):  # for `run-task`: a directory says nothing about what it starts
            return None
        try:
            found = look_up_source(source, access=self._registry(), architecture=architecture, name=names[0])
        except ImageError as error:
            raise Failure(f"image `{known[0]}` cannot be looked up: {error}") from None
        return _config(source if source != names[0] else f"registry of `{source}`", found.config, found.digest)

    def privileged(self, *names: str, ask_registries: bool = False) -> list[str]:
        """Return the programs of an image that gain rights, `path (by)`, without those that every base image has.

        Images on this machine are always looked through, others when `ask_registries`; whichever architecture there
        is, for they bring the same programs. Raises Failure.
        """
        from bartizan.registry import ImageError, open_image, parse_platform, privileged_files  # noqa: PLC0415 - keeps `--help` quick

        source = next((self._sources[name] for name in names if name in self._sources), None)
        if source is None and ask_registries:
            source = names[0]
        if source is None or not (ask_registries or source.startswith(("oci:", "archive:"))):
            return []
        if source.startswith(("dir:", "inspect:")):  # neither has layers
            return []
        failures = []
        for architecture in ("amd64", "arm64"):
            try:
                image = open_image(source, access=self._registry(), platform=parse_platform(architecture))
                return [f"{file.path} ({file.by})" for file in privileged_files(image) if not file.is_stock]
            except ImageError as error:
                failures.append(error)
        raise Failure(f"image `{names[0]}` cannot be looked through: {failures[0]}")

    def _registry(self) -> "Access":
        if self._access is None:
            self._access = registry_access(self._client)
        return self._access


def registry_access(client: "ClientSettings") -> "Access":
    """Return how registries are reached: credentials of the environment, then of Docker's configuration, then AWS's."""
    from bartizan.registry import (  # noqa: PLC0415 - keeps `--help` quick
        Access,
        Credential,
        ImageError,
        docker_config_credentials,
        registry_name,
        run_credential_helper,
    )

    own: dict[str, Credential] = {}
    if client.registry:
        own[registry_name(client.registry)] = Credential(
            kind="basic", user=client.registry_user, secret=client.registry_password
        )
    docker: Mapping[str, Credential] = {}
    if client.docker_config is not None and client.docker_config.is_file():
        try:
            text = client.docker_config.read_text()
            docker = docker_config_credentials(text, run_helper=run_credential_helper)
        except (OSError, UnicodeDecodeError, ImageError) as error:
            raise Failure(f"`{client.docker_config}` cannot be used: {error}") from None
    return Access(
        credentials=lambda host: own.get(host) or docker.get(host),
        ca_bundle=client.registry_ca_file,
        chain=True,
    )


def image_sources(given: list[str]) -> dict[str, str]:
    """Read `REF=SOURCE` options. Raises Failure for one without `=`."""
    sources = {}
    for option in given:
        reference, equals, source = option.partition("=")
        if not (reference and equals and source):
            raise Failure(f"`{option}` is not REF=SOURCE, such as `nginx=oci:./images/nginx`")
        sources[reference] = source
    return sources


def _config(origin: str, config: "RegistryConfig", digest: str | None) -> "ImageConfig":
    from bartizan.embed import ImageConfig  # noqa: PLC0415 - keeps `--help` quick

    return ImageConfig(
        entrypoint=config.entrypoint,
        cmd=config.cmd,
        origin=origin,
        digest=digest,
        user=config.user,
        shell=config.shell,
        volumes=config.volumes,
        on_build=config.on_build,
    )
