"""Look-ups: records first, then the registry with the right credential, and one clear error."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.services.looking import DIGEST, SECRET, Bench, found, run
from tests.services.test_registries import ECR, registry

from bartizan.services.credentials import CredentialType
from bartizan.services.errors import (
    InvalidError,
    ServiceError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)
from bartizan.services.image_lookup import MOST_IMAGES, Ask, ImageRecord, LookUpLimits, WantedImage

SHOP = "registry.test/team/shop:1"
PINNED = f"registry.test/team/shop@{DIGEST}"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Open the services."""
    opened = Bench(tmp_path)
    yield opened
    opened.close()


def look_up(bench: Bench, *references: str, **given: Any) -> list[ImageRecord]:
    """Look images up."""
    wanted = [WantedImage(reference=reference, containers=("web",)) for reference in references]
    return list(run(bench.look_ups.find(wanted, **given)).values())


def failing(error: ServiceError) -> Callable[[Ask], ImageRecord]:
    """Return a registry that fails."""

    def answer(_ask: Ask) -> ImageRecord:
        raise error

    return answer


def test_what_a_registry_said_is_recorded_and_shown(bench: Bench) -> None:
    """The record says what is started, of which image, and when that was learnt."""
    (record,) = look_up(bench, SHOP)
    assert (record.entrypoint, record.cmd, record.digest) == (("/start",), ("serve",), DIGEST)
    assert record.origin == "registry `registry.test`"
    assert record.recorded == bench.clock.now
    assert run(bench.look_ups.page("shop", offset=0, limit=10)) == ([record], 1)
    assert run(bench.look_ups.page(DIGEST[:20], offset=0, limit=10))[1] == 1
    assert run(bench.look_ups.page("registry.test/team/shop:1", offset=0, limit=10))[1] == 1
    assert run(bench.look_ups.page("s%p", offset=0, limit=10)) == ([], 0)


def test_a_young_record_of_a_tag_is_enough(bench: Bench) -> None:
    """Two requests in a row give the same answer, origin and all, and ask once."""
    first = look_up(bench, SHOP)
    bench.clock.now += 599_000
    assert look_up(bench, SHOP) == first
    assert len(bench.reader.asked) == 1


def test_an_old_record_of_a_tag_is_asked_for_again(bench: Bench) -> None:
    """A tag may have moved."""
    look_up(bench, SHOP)
    bench.clock.now += 601_000
    bench.reader.answer = lambda ask: found(ask, digest="sha256:" + "c" * 64, entrypoint=("/new",))
    (record,) = look_up(bench, SHOP)
    assert record.entrypoint == ("/new",)
    bench.clock.now += 1000
    assert look_up(bench, SHOP)[0].entrypoint == ("/new",)


@pytest.mark.parametrize("error", [UpstreamError("x"), UpstreamTimeoutError("x"), UnavailableError("x")])
def test_an_old_record_is_used_when_the_registry_cannot_be_asked(bench: Bench, error: ServiceError) -> None:
    """The origin then says that it is a record, and of when."""
    look_up(bench, SHOP)
    bench.clock.now += 86_400_000
    bench.reader.answer = failing(error)
    (record,) = look_up(bench, SHOP)
    assert record.entrypoint == ("/start",)
    assert record.origin == "record of 2027-01-15T08:00:00.000Z, its registry could not be asked"


def test_a_record_does_not_stand_in_for_an_image_that_is_gone(bench: Bench) -> None:
    """A definite no of the registry is passed on: the task could not start either."""
    look_up(bench, SHOP)
    bench.clock.now += 86_400_000
    bench.reader.answer = failing(InvalidError("there is no tag `1`"))
    with pytest.raises(InvalidError, match="there is no tag `1`"):
        look_up(bench, SHOP)


def test_a_digest_never_ages(bench: Bench) -> None:
    """What was learnt of a digest, by whatever name, holds for ever: of the index and of the manifest alike."""
    look_up(bench, SHOP)
    bench.clock.now += 10 * 365 * 86_400_000
    bench.reader.answer = failing(UpstreamError("no more"))
    (record,) = look_up(bench, PINNED)
    assert (record.reference, record.entrypoint) == (PINNED, ("/start",))
    assert record.origin == "registry `registry.test`"
    assert look_up(bench, "registry.test/team/shop@sha256:" + "b" * 64)[0].entrypoint == ("/start",)


def test_a_digest_does_not_answer_for_a_tag(bench: Bench) -> None:
    """Somebody who asks for an old digest does not change what a tag is taken for."""
    look_up(bench, PINNED)
    look_up(bench, f"registry.test/team/shop:1@{DIGEST}")
    look_up(bench, SHOP, "registry.test/team/shop")
    # The two are asked for at a time, in either order.
    assert sorted(ask.reference for ask in bench.reader.asked) == sorted([PINNED, SHOP, "registry.test/team/shop"])


def test_another_repositorys_record_does_not_answer_for_a_digest(bench: Bench) -> None:
    """Who may read one repository learns nothing of another by its digests."""
    look_up(bench, PINNED)
    look_up(bench, f"registry.test/other@{DIGEST}")
    assert len(bench.reader.asked) == 2


def test_architectures_are_kept_apart(bench: Bench) -> None:
    """A record of one architecture says nothing of another."""
    look_up(bench, PINNED)
    run(bench.look_ups.find([WantedImage(reference=PINNED, architecture="arm64")]))
    assert [ask.architecture for ask in bench.reader.asked] == ["amd64", "arm64"]


def test_without_settings_a_registry_is_asked_anonymously(bench: Bench) -> None:
    """No credential goes anywhere unasked, and no private address is allowed."""
    bench.put(host="other.test")
    look_up(bench, SHOP)
    (ask,) = bench.reader.asked
    assert ask.credential is None
    assert ask.ca_cert == ""
    assert ask.private_hosts == {"other.test"}


def test_the_settings_choose_credential_and_authority(bench: Bench) -> None:
    """The first specification that covers the image tells which credential; its host may be private."""
    bench.put()
    run(bench.registries.replace([registry(repository="team/*", credential="shop"), registry()]))
    look_up(bench, SHOP, "registry.test/other/x:1")
    by_name = {ask.reference: ask for ask in bench.reader.asked}
    credential = by_name[SHOP].credential
    assert credential is not None
    assert credential.secret == SECRET
    assert by_name["registry.test/other/x:1"].credential is None
    assert by_name[SHOP].private_hosts == {"registry.test"}


def test_a_credential_for_a_registry_needs_no_settings(bench: Bench) -> None:
    """A credential whose `url` is the registry is used by itself."""
    bench.put(host="registry.test")
    look_up(bench, SHOP, "other.test/x:1")
    assert {ask.reference: ask.credential is not None for ask in bench.reader.asked} == {
        SHOP: True,
        "other.test/x:1": False,
    }


def test_an_explicit_credential_wins_where_it_is_for(bench: Bench) -> None:
    """It goes to its own registry and to no other image of the request."""
    bench.put(id="usual")
    bench.put("the explicit one", id="explicit", host="registry.test")
    run(bench.registries.add(registry(credential="usual")))
    look_up(bench, SHOP, "nginx:1", credential="explicit")
    asked = {ask.reference: ask.credential for ask in bench.reader.asked}
    assert asked["nginx:1"] is None
    explicit = asked[SHOP]
    assert explicit is not None
    assert explicit.secret == "the explicit one"


def test_a_definition_cannot_fish_for_a_credential(bench: Bench) -> None:
    """An image on a host of the attacker's does not get a credential that was named along with it."""
    bench.put()
    with pytest.raises(InvalidError, match="not known which registry credential `shop` is for"):
        look_up(bench, "evil.example/x:1", credential="shop")
    run(bench.registries.add(registry(credential="shop")))
    look_up(bench, "evil.example/x:1", SHOP, credential="shop")
    assert {ask.host: ask.credential is not None for ask in bench.reader.asked} == {
        "evil.example": False,
        "registry.test": True,
    }


def test_an_aws_key_goes_to_amazon_alone(bench: Bench) -> None:
    """Without any binding it is used for ECR, and never for a host that only looks like it."""
    bench.put(id="key", type=CredentialType.AWS, account="AKIA")
    look_up(bench, f"{ECR}/shop:1", f"{ECR}.evil.example/shop:1", credential="key", registry_type="aws")
    asked = {ask.host: ask for ask in bench.reader.asked}
    assert (asked[ECR].kind, asked[ECR].credential is not None) == ("ecr", True)
    assert asked[f"{ECR}.evil.example"].credential is None


@pytest.mark.parametrize(
    ("kind", "version", "asked_type", "expected"),
    [
        (CredentialType.BASIC, "2", "", "basic"),
        (CredentialType.BASIC, "jfrog", "", "jfrog"),
        (CredentialType.API_TOKEN, "2", "", "token"),
        (CredentialType.API_TOKEN, "jfrog", "", "jfrog"),
        (CredentialType.API_TOKEN, "2", "jfrog", "jfrog"),
        (CredentialType.BASIC, "jfrog", "2", "basic"),
        (CredentialType.JFROG, "2", "", "jfrog"),
    ],
)
def test_types_decide_how_a_credential_is_sent(
    bench: Bench, kind: CredentialType, version: str, asked_type: str, expected: str
) -> None:
    """The credential's type, and for tokens the registry's, tell the way."""
    bench.put(type=kind)
    run(bench.registries.add(registry(version=version, credential="shop")))
    look_up(bench, SHOP, registry_type=asked_type, credential="shop" if asked_type else "")
    assert bench.reader.asked[0].kind == expected


def test_the_requests_type_is_not_for_registries_of_the_settings(bench: Bench) -> None:
    """It is for the named credential and for registries that nobody described."""
    bench.put()
    bench.put(id="art", host="art.test")
    run(bench.registries.add(registry(credential="shop")))
    look_up(bench, SHOP, "art.test/x:1", registry_type="jfrog")
    assert {ask.host: ask.kind for ask in bench.reader.asked} == {"registry.test": "basic", "art.test": "jfrog"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"registry_type": "quay"}, "`registryType`: possible are 2, aws"),
        ({"credential": "none"}, "`registryCredentialID`: there is no credential `none`"),
        ({"credential": "shop", "registry_type": "aws"}, "is of type `basic`"),
    ],
)
def test_a_wrong_request_is_told_before_anything_is_asked(bench: Bench, given: dict[str, str], words: str) -> None:
    """Parameters are checked first, and named."""
    bench.put(host="registry.test")
    with pytest.raises(InvalidError) as refusal:
        look_up(bench, SHOP, **given)
    assert words in str(refusal.value)
    assert bench.reader.asked == []


def test_one_error_names_every_image_and_its_containers(bench: Bench) -> None:
    """What the user can mend decides the kind of the error: trying again would not help."""

    def answer(ask: Ask) -> ImageRecord:
        if ask.host == "down.test":
            raise UpstreamError("it is down")
        if ask.host == "gone.test":
            raise InvalidError("there is no such tag")
        return found(ask)

    bench.reader.answer = answer
    with pytest.raises(InvalidError) as refusal:
        look_up(bench, SHOP, "down.test/a:1", "gone.test/b:1", "not a reference")
    assert str(refusal.value) == (
        "image `down.test/a:1` of container `web` cannot be looked up: it is down; "
        "image `gone.test/b:1` of container `web` cannot be looked up: there is no such tag; "
        "image `not a reference` of container `web` cannot be looked up: image `not a reference` is no reference"
    )
    with pytest.raises(UpstreamError, match="it is down"):
        look_up(bench, "down.test/a:1")


def test_a_long_list_of_failures_is_cut(bench: Bench) -> None:
    """An error stays readable."""
    bench.reader.answer = failing(UpstreamError("down"))
    with pytest.raises(UpstreamError, match=r"; and 15 more$"):
        look_up(bench, *(f"down.test/a:{number}" for number in range(25)))


def test_too_many_images_are_refused(bench: Bench) -> None:
    """A request has its limit."""
    with pytest.raises(InvalidError, match=f"at most {MOST_IMAGES}"):
        look_up(bench, *(f"registry.test/a:{number}" for number in range(MOST_IMAGES + 1)))


def test_a_slow_registry_does_not_hold_a_request(tmp_path: Path) -> None:
    """When the request's time is over it is told so, whatever the registry does."""
    release = threading.Event()

    def answer(ask: Ask) -> ImageRecord:
        assert release.wait(20)
        return found(ask)

    bench = Bench(tmp_path, answer=answer, limits=LookUpLimits(request_seconds=0.2))
    try:
        with pytest.raises(UpstreamTimeoutError, match=r"within the 0\.2 seconds"):
            look_up(bench, *(f"slow.test/a:{number}" for number in range(20)))
        assert len(bench.reader.asked) <= 8
        assert all(ask.seconds <= 0.2 for ask in bench.reader.asked)
    finally:
        release.set()
        bench.close()


def test_look_ups_are_bounded(tmp_path: Path) -> None:
    """However many are wanted, at most eight are under way, and at most four of one request."""
    busy: Counter[str] = Counter()
    peak: Counter[str] = Counter()
    change = threading.Condition()

    def answer(ask: Ask) -> ImageRecord:
        with change:
            busy[ask.host] += 1
            peak[ask.host] = max(peak[ask.host], busy[ask.host])
            peak["all"] = max(peak["all"], busy.total())
            change.notify_all()
            # Those that are here wait for all that could come; nobody comes beyond the bound.
            change.wait_for(lambda: busy.total() > 8, timeout=0.2)
            busy[ask.host] -= 1
        return found(ask)

    bench = Bench(tmp_path, answer=answer)

    async def requests() -> None:
        wanted = [[WantedImage(reference=f"r{part}.test/a:{number}") for number in range(8)] for part in range(3)]
        await asyncio.gather(*(bench.look_ups.find(images) for images in wanted))

    try:
        run(requests())
    finally:
        bench.close()
    assert len(bench.reader.asked) == 24
    assert peak.pop("all") == 8
    assert max(peak.values()) == 4


def test_records_are_bounded(bench: Bench) -> None:
    """The oldest records go when there are too many."""
    from bartizan.store import SqlImages  # noqa: PLC0415 - of this test alone

    bench.look_ups._images = SqlImages(bench.database, most=3)
    for number in range(5):
        bench.clock.now += 1000
        look_up(bench, f"registry.test/a:{number}")
    records, total = run(bench.look_ups.page("", offset=0, limit=10))
    assert total == 3
    assert [record.reference for record in records] == [f"registry.test/a:{number}" for number in (4, 3, 2)]
