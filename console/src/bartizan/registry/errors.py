"""Why an image cannot be had: definite, unless it is a `RegistryFaultError`."""


class ImageError(Exception):
    """An image cannot be had or is not what it claims to be; the message is one line and never holds a credential.

    Raised as it is, trying again will not help: no such image, no such platform, access denied, no reference.
    What registries send may stand in it, so signs that would steer a terminal or forge a line of a log are replaced.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        super().__init__("".join(sign if sign.isprintable() else "?" for sign in line))


class RegistryFaultError(ImageError):
    """A registry, or a service it names, did not answer as it should; it may later, with nothing changed by us."""


class BusyError(RegistryFaultError):
    """A registry has had too many requests, or is not available for now; `retry_after` seconds if it says so."""

    def __init__(self, message: str, *, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(RegistryFaultError):
    """A registry does not answer: not in time if `timed_out`, with a certificate nobody trusts if `distrusted`."""

    def __init__(self, message: str, *, timed_out: bool = False, distrusted: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out
        self.distrusted = distrusted
