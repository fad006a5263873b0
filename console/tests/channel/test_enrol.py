"""Enrolment on a real port: who gets a certificate, and what is in it."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.channel.running import DEADLINE, ConsoleUnderTest, DefenderEnd, csr_of, new_key
from websockets.exceptions import ConnectionClosed

Maker = Callable[..., DefenderEnd]


def test_the_certificate_says_what_the_console_says(defender: Maker) -> None:
    """Subject, purpose and life are the Console's, whatever the CSR asks for."""
    end = defender()
    answer = end.enrol(csr=csr_of(end.key, common_name="Bartizan CA"))
    certificate = x509.load_pem_x509_certificate(answer["certificate"].encode())
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == end.instance
    assert certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)[0].value == end.bundle["id"]
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_after_utc.timestamp() * 1000 == answer["notAfter"]
    hours = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() / 3600
    assert 24 <= hours < 24.2


def test_the_authority_that_signed_is_the_pinned_one(console: ConsoleUnderTest, defender: Maker) -> None:
    """The CA that comes with a certificate is the one whose pin is in the bundle."""
    end = defender()
    answer = end.enrol()
    authority = x509.load_pem_x509_certificate(answer["ca"].encode())
    x509.load_pem_x509_certificate(answer["certificate"].encode()).verify_directly_issued_by(authority)
    assert end.bundle["pins"] == [console.running.ca_pin]


def test_a_wrong_secret_is_refused_and_then_slowed_down(console: ConsoleUnderTest, defender: Maker) -> None:
    """Wrong secrets and unknown bundles are told apart from nothing, and an address that goes on has to wait."""
    end = defender()
    codes = []
    for number in range(14):
        wrong = {"secret": secrets.token_urlsafe(32)} if number % 2 else {"bundle": secrets.token_hex(8)}
        answer = end.enrol(**wrong)
        codes.append(answer["code"])
        if answer["code"] == "unauthorized":
            assert answer["message"] == "the install bundle is not valid, or was revoked"
        else:
            assert answer["retryAfterSeconds"] > 0
    assert codes[:9] == ["unauthorized"] * 9
    assert codes[-1] == "rateLimited"
    assert defender(bundle=console.bundle()).enrol()["type"] == "enrolled"


@pytest.mark.parametrize(
    "csr",
    [
        "",
        "garbage",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        csr_of(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        csr_of(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["empty", "garbage", "no csr inside", "rsa", "another curve"],
)
def test_a_bad_csr_is_refused(defender: Maker, csr: str) -> None:
    """A CSR that cannot be read, or whose key is not ECDSA P-256, gets an error and no certificate."""
    answer = defender().enrol(csr=csr)
    assert answer["type"] == "error"
    assert answer["code"] == "badMessage"


def test_a_csr_that_its_key_did_not_sign_is_refused(defender: Maker) -> None:
    """Nobody gets a certificate for a key that they do not hold."""
    lines = csr_of(new_key()).splitlines()
    body = "".join(lines[1:-1])
    flipped = body[:-12] + ("A" if body[-12] != "A" else "B") + body[-11:]
    answer = defender().enrol(csr="\n".join([lines[0], flipped, lines[-1], ""]))
    assert answer["code"] == "badMessage"


@pytest.mark.parametrize(
    "frame",
    ["", "{", "[]", "null", '{"type":"enrol"}', '{"type":"hello"}', "[" * 100_000, b"\x00\xff"],
    ids=["empty", "half", "list", "null", "no fields", "another type", "deep", "binary"],
)
def test_a_hostile_first_frame_gets_an_error(defender: Maker, frame: str | bytes) -> None:
    """Whatever comes first, the answer is an error and the end of the connection."""
    with defender().open("/enrol") as link:
        link.send(frame)
        answer = json.loads(link.recv(DEADLINE))
        assert answer["code"] == "badMessage"
        with pytest.raises(ConnectionClosed):
            link.recv(DEADLINE)


def test_silence_is_not_waited_for(defender: Maker) -> None:
    """A peer that connects and says nothing is dropped."""
    with defender().open("/enrol") as link, pytest.raises(ConnectionClosed):
        link.recv(DEADLINE)


def test_an_instance_in_use_cannot_be_enrolled_with_another_key(console: ConsoleUnderTest, defender: Maker) -> None:
    """Who has the install bundle, and learns an instance's name, still cannot become that instance."""
    end = defender()
    end.connect()
    thief = defender(instance=end.instance, bundle=console.bundle())
    answer = thief.enrol()
    assert answer["code"] == "conflict"
    again = end.enrol()
    assert again["type"] == "enrolled"


def test_two_bundles_for_one_address_are_equal(console: ConsoleUnderTest) -> None:
    """The bundle is stable, so that a definition that is protected twice stays the same."""
    assert console.bundle() == console.bundle()


def test_messages_do_not_repeat_secrets(defender: Maker) -> None:
    """What is wrong with a message is said without its values."""
    end = defender()
    secret = end.bundle["secret"]
    answers: list[dict[str, Any]] = [end.enrol(csr=1), end.enrol(instance=secret), end.enrol(kind=secret)]
    assert all(secret not in json.dumps(answer) for answer in answers)
