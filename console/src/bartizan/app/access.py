"""Who may come in."""

from bartizan import pki
from bartizan.app.base import Base
from bartizan.data_directory import setup_token
from bartizan.services.accounts import Accounts
from bartizan.services.changes import Changes
from bartizan.services.collections import Collections
from bartizan.services.directory import Directory
from bartizan.services.oidc import Oidc
from bartizan.services.sessions import Sessions
from bartizan.services.users import Users
from bartizan.store import SqlChanges, SqlDirectory, SqlSessions


class Access:
    """Accounts, and the token of the one-time set-up while there is none."""

    def __init__(self, base: Base, collections: Collections) -> None:
        self._token_file = base.directory / "setup-token"
        directory = Directory(SqlDirectory(base.database))
        sessions = Sessions(SqlSessions(base.database), clock=base.clock)
        self.setup_token = None if directory.users else setup_token(self._token_file)
        self.accounts = Accounts(
            directory,
            sessions,
            collections,
            setup_token=self.setup_token,
            on_set_up=self._forget_setup_token,
            clock=base.clock,
        )
        key, fresh = pki.key_file(base.directory / "changes.key")
        self.changes = Changes(SqlChanges(base.database), key, fresh=fresh, clock=base.clock)
        # A file of its own: the key of credentials is changed, and its old ones forgotten, with those alone.
        box = pki.SecretBox(base.directory / "oidc.key")
        self.oidc = Oidc(directory, base.stored, box, base.outgoing, clock=base.clock)
        self.users = Users(directory, sessions, self.accounts.passwords, collections, clock=base.clock)

    def close(self) -> None:
        """End the threads that hash passwords."""
        self.accounts.close()

    def _forget_setup_token(self) -> None:
        self._token_file.unlink(missing_ok=True)
