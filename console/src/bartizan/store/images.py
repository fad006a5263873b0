"""What is known of images."""

from typing import Any

import msgspec
import sqlalchemy as sa

from bartizan.services.image_lookup import ImageRecord
from bartizan.services.registries import ImageName
from bartizan.store.database import Database
from bartizan.store.portable import insert
from bartizan.store.tables import images

_MOST = 100_000


class SqlImages:
    """Implements `ImageStore`; beyond `most` records the oldest go."""

    def __init__(self, database: Database, *, most: int = _MOST) -> None:
        self._database = database
        self._most = most

    def put(self, record: ImageRecord) -> None:
        """Keep a record; one of the same name, digest and architecture is replaced."""
        name = record.name
        key = {"host": name.host, "repository": name.repository, "tag": name.tag, "digest": record.digest}
        key["architecture"] = record.architecture
        values: dict[str, Any] = {
            "manifest_digest": record.manifest_digest,
            "reference": record.reference,
            "document": msgspec.json.encode(record),
            "recorded": record.recorded,
        }
        statement = insert(images).values(**key, **values)
        oldest = sa.select(images.c.id).order_by(images.c.recorded.desc(), images.c.id.desc()).offset(self._most)
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))
            connection.execute(images.delete().where(images.c.id.in_(oldest.limit(1000))))

    def by_digest(self, name: ImageName, architecture: str) -> ImageRecord | None:
        """Return a record of an image of this repository by the digest of its index or of its manifest."""
        # Of this repository only: who may read another one is not for us to know.
        is_it = (images.c.host == name.host, images.c.repository == name.repository)
        same = sa.or_(images.c.digest == name.digest, images.c.manifest_digest == name.digest)
        return self._newest(sa.and_(*is_it, same), architecture)

    def by_tag(self, name: ImageName, architecture: str) -> ImageRecord | None:
        """Return the newest record of a tag."""
        is_it = (images.c.host == name.host, images.c.repository == name.repository, images.c.tag == name.tag)
        return self._newest(sa.and_(*is_it), architecture)

    def page(self, search: str, *, offset: int, limit: int) -> tuple[list[ImageRecord], int]:
        """Return the records whose reference or digest holds a text, the newest first, and how many there are."""
        texts = (images.c.reference, images.c.digest, images.c.manifest_digest)
        # The reference in full as well, for those who search `docker.io/library/nginx:1`.
        whole = images.c.host + "/" + images.c.repository + ":" + images.c.tag
        fits = sa.or_(*(text.icontains(search, autoescape=True) for text in (*texts, whole))) if search else sa.true()
        query = sa.select(images.c.document).where(fits)
        query = query.order_by(images.c.recorded.desc(), images.c.id.desc()).offset(offset).limit(limit)
        with self._database.read() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(images).where(fits)).scalar_one()
            rows = connection.execute(query).scalars().all()
        return [msgspec.json.decode(row, type=ImageRecord) for row in rows], int(total)

    def _newest(self, condition: sa.ColumnElement[bool], architecture: str) -> ImageRecord | None:
        query = sa.select(images.c.document).where(condition, images.c.architecture == architecture)
        with self._database.read() as connection:
            row = connection.execute(query.order_by(images.c.recorded.desc(), images.c.id.desc()).limit(1)).scalar()
        return None if row is None else msgspec.json.decode(row, type=ImageRecord)
