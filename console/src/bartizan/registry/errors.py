"""The error of this package: definite, unless it is a `RegistryFaultError`."""


class ImageError(Exception):
    """An image cannot be had or is not what it claims to be; the message is one line and never holds a credential."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class RegistryFaultError(ImageError):
    """The registry did not answer as it should; it may later, with nothing changed on our side."""


class BusyError(RegistryFaultError):
    """The registry asks to come again later."""


class UnreachableError(RegistryFaultError):
    """A registry does not answer; `distrusted` when it does, with a certificate that nobody trusts."""

    def __init__(self, message: str, *, distrusted: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.distrusted = distrusted
        self.timed_out = timed_out
