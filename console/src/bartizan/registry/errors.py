"""The one error of this package."""


class ImageError(Exception):
    """An image cannot be had or is not what it claims to be; the message is one line and never holds a credential."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
