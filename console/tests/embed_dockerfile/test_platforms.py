"""For which machines the Defender is put in."""

import pytest
from tests.embed_dockerfile.samples import lines, protected, refusal, settings

from bartizan.embed import ImageConfig
from bartizan.embed.dockerfile import build_architectures

_END = 'ENTRYPOINT ["/app"]\n'


def _added(text: str, **changes: object) -> tuple[tuple[str, ...], list[str]]:
    protection = protected(text, **changes)
    assert protection.architectures == build_architectures(text, settings=settings(**changes))
    return protection.architectures, [line for line in lines(protection.text) if line.startswith(("ARG", "ADD"))]


def test_an_open_platform_is_left_to_the_builder() -> None:
    """Without a platform both Defenders are brought, and the builder's TARGETARCH chooses; amd64 where it has none."""
    both = (("amd64", "arm64"), ["ARG TARGETARCH", "ADD bartizan/defender-${TARGETARCH:-amd64}.tar /"])
    assert _added(f"FROM a\n{_END}") == both
    assert _added(f"FROM --platform=$TARGETPLATFORM a\n{_END}") == both
    assert _added(f"FROM --platform=linux/${{TARGETARCH:-amd64}} a\n{_END}") == both
    assert _added(f"FROM --platform=$BUILDPLATFORM a AS b\nFROM a\n{_END}") == both


def test_the_platform_of_the_builder_is_that_of_the_build() -> None:
    """A stage for the build's own platform goes by BUILDARCH."""
    assert _added(f"FROM --platform=${{BUILDPLATFORM}} a\n{_END}")[1][0] == "ARG BUILDARCH"


@pytest.mark.parametrize(
    ("start", "architecture"),
    [
        ("FROM --platform=linux/arm64 a", "arm64"),
        ("FROM --platform=linux/arm64/v8 a", "arm64"),
        ("FROM --platform=linux/x86_64 a", "amd64"),
        ("FROM --platform=linux/aarch64 a AS b\nFROM b", "arm64"),
        ("ARG P=linux/arm64\nFROM --platform=$P a", "arm64"),
        ("FROM arm64v8/alpine:3", "arm64"),
        ("FROM amd64/alpine:3", "amd64"),
    ],
)
def test_a_platform_that_is_said_gets_its_defender_only(start: str, architecture: str) -> None:
    """A literal platform, one by ARG, or an image for one machine, decides."""
    assert _added(f"{start}\n{_END}") == (
        (architecture,),
        [*_arguments(start), f"ADD bartizan/defender-{architecture}.tar /"],
    )


def _arguments(start: str) -> list[str]:
    return [line for line in start.splitlines() if line.startswith("ARG")]


def test_the_setting_decides_what_is_open() -> None:
    """A chosen architecture is taken where the file leaves it open, and refused where the file says other."""
    assert _added(f"FROM a\n{_END}", architecture="arm64") == (("arm64",), ["ADD bartizan/defender-arm64.tar /"])
    message = "line 1, column 1: the stage is for `amd64`, not for `arm64`: leave the architecture out"
    assert refusal(f"FROM --platform=linux/amd64 a\n{_END}", architecture="arm64") == message


@pytest.mark.parametrize("platform", ["linux/s390x", "linux/arm/v7", "linux/386", "wasi/wasm", "darwin/amd64x"])
def test_other_machines_are_refused(platform: str) -> None:
    """Where there is no Defender for, the refusal names those there are."""
    message = f"there is no Defender for the platform `{platform}`: it is made for `linux/amd64` and `linux/arm64`"
    assert refusal(f"FROM --platform={platform} a\n{_END}") == f"line 1, column 1: {message}"


def test_images_for_other_machines_are_refused() -> None:
    """Official images of one other architecture are known by their namespace."""
    assert "there is no Defender for the platform `arm32v7`" not in refusal(f"FROM arm32v7/alpine\n{_END}")
    assert "there is no Defender for" in refusal(f"FROM arm32v7/alpine\n{_END}")


@pytest.mark.parametrize(
    "start",
    [
        "FROM mcr.microsoft.com/windows/servercore:ltsc2022",
        "FROM mcr.microsoft.com/windows/nanoserver:1809 AS b\nFROM b",
        "FROM microsoft/nanoserver",
        "FROM golang:1.22-nanoserver",
        "FROM python:windowsservercore-ltsc2022",
        "FROM mcr.microsoft.com/dotnet/framework/aspnet:4.8",
        "FROM --platform=windows/amd64 a",
        '# escape=`\nFROM a\nSHELL ["powershell", "-Command"]',
        'FROM a\nSHELL ["cmd", "/S", "/C"]',
        "FROM winamd64/golang",
        "FROM --platform=windows/$TARGETARCH a",
    ],
)
def test_windows_is_refused(start: str) -> None:
    """Windows is known by image, tag, platform or shell, and refused in words."""
    assert "is Windows, and the Defender runs on Linux only" in refusal(f"{start}\n{_END}")


def test_an_image_that_says_it_is_windows_is_refused() -> None:
    """What the image's configuration says counts most."""
    assert "is Windows" in refusal(f"FROM a\n{_END}", image=ImageConfig(os="windows"))


def test_a_windows_stage_that_is_not_built_on_is_no_matter() -> None:
    """Only the stages that the protected one is built from are looked at."""
    assert _added(f"FROM mcr.microsoft.com/windows/servercore AS w\nFROM a\n{_END}")[0] == ("amd64", "arm64")
