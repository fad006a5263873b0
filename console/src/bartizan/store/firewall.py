"""The WAAS policy with every revision, network lists, rules of scrubbing, and sealed certificates."""

import msgspec
import sqlalchemy as sa

from bartizan.policy.firewall import NetworkList, ScrubbingRule
from bartizan.services.firewall import KeptFirewall
from bartizan.store.database import Database
from bartizan.store.portable import insert
from bartizan.store.revisions import MOST_REVISIONS
from bartizan.store.tables import settings, waas_certificates, waas_networks, waas_policies

_SCRUBBING = "waasLogScrubbing"
_COUNTRIES = "waasCountryTable"


class SqlFirewall:
    """Implements `FirewallStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> KeptFirewall:
        """Return what is kept."""
        latest = sa.select(waas_policies.c.revision, waas_policies.c.document)
        texts = sa.select(settings.c.key, settings.c.value).where(settings.c.key.in_((_SCRUBBING, _COUNTRIES)))
        with self._database.read() as connection:
            row = connection.execute(latest.order_by(waas_policies.c.revision.desc()).limit(1)).first()
            networks = connection.execute(sa.select(waas_networks.c.document).order_by(waas_networks.c.name)).scalars()
            certificates = connection.execute(sa.select(waas_certificates)).all()
            found = {row.key: row.value for row in connection.execute(texts)}
            return KeptFirewall(
                revision=0 if row is None else row.revision,
                document=None if row is None else row.document,
                networks=tuple(msgspec.json.decode(document, type=NetworkList) for document in networks),
                scrubbing=msgspec.json.decode(found.get(_SCRUBBING, "[]"), type=tuple[ScrubbingRule, ...]),
                countries=found.get(_COUNTRIES, ""),
                certificates={item.id: item.sealed for item in certificates},
            )

    def save(self, kept: KeptFirewall, *, author: str, now: int, comment: str = "") -> int:
        """Keep all of this as the next revision, and return its number; the oldest beyond what is kept go."""
        empty = b'{"_id":"appEmbeddedAppFirewall","rules":[]}'
        document = empty if kept.document is None else kept.document
        statement = waas_policies.insert().values(document=document, author=author, created=now, comment=comment)
        texts = {_SCRUBBING: msgspec.json.encode(kept.scrubbing).decode(), _COUNTRIES: kept.countries}
        with self._database.write() as connection:
            revision = connection.execute(statement.returning(waas_policies.c.revision)).scalar_one()
            connection.execute(waas_policies.delete().where(waas_policies.c.revision <= revision - MOST_REVISIONS))
            connection.execute(waas_networks.delete())
            connection.execute(waas_certificates.delete())
            if kept.networks:
                rows = [{"name": item.name, "document": msgspec.json.encode(item)} for item in kept.networks]
                connection.execute(waas_networks.insert(), rows)
            if kept.certificates:
                sealed = [{"id": name, "sealed": content} for name, content in kept.certificates.items()]
                connection.execute(waas_certificates.insert(), sealed)
            for key, value in texts.items():
                setting = insert(settings).values(key=key, value=value)
                connection.execute(setting.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
        return int(revision)
