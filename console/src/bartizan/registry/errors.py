"""The one error of this package."""


class ImageError(Exception):
    """An image cannot be had or is not what it claims to be; the message is one line and never holds a credential.

    What registries send may stand in it, so signs that would steer a terminal or forge a line of a log are replaced.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        super().__init__("".join(sign if sign.isprintable() else "?" for sign in line))
