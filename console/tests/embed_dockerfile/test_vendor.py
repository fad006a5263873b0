"""Files with the vendor's Defender, or one put in by hand."""

import pytest
from tests.embed_dockerfile.samples import NGINX, lines, protected, refusal

from bartizan.embed.dockerfile import protect, unprotect
from bartizan.embed.dockerfile.options import DockerfileSettings

_BY_TOOL = """FROM tomcat:9
COPY app.war webapps/
ENTRYPOINT ["catalina.sh", "run"]

# Twistlock Container Defender - app embedded
ADD twistlock_defender_app_embedded.tar.gz /tmp
ENV DEFENDER_TYPE="appEmbedded"
ENV DEFENDER_APP_ID="s4s"
ENV FILESYSTEM_MONITORING="true"
ENV WS_ADDRESS="wss://asia.example.com:443"
ENV DATA_FOLDER="/tmp"
ENV INSTALL_BUNDLE="eyJh"
ENV FIPS_ENABLED="false"
ENTRYPOINT ["/tmp/defender", "app-embedded", "catalina.sh", "run"]
"""


def test_it_is_refused_by_name() -> None:
    """Without being asked for, nothing of another Defender is touched."""
    message = "line 6, column 1: this file carries the vendor's Defender: take it out, or ask for it to be migrated"
    assert refusal(_BY_TOOL) == message


def test_what_the_vendors_tool_appended_is_taken_out() -> None:
    """All that was appended goes, the ENTRYPOINT above is wrapped, and the way back gives the vendor's file."""
    protection = protected(_BY_TOOL, migrate=True)
    assert lines(protection.text) == [
        "FROM tomcat:9",
        "COPY app.war webapps/",
        'ENTRYPOINT ["/bartizan/defender", "app-embedded", "catalina.sh", "run"]',
        "ARG TARGETARCH",
        "ADD bartizan/defender-${TARGETARCH:-amd64}.tar /",
    ]
    assert "twistlock" not in protection.text.lower()
    assert protection.report.migrated_from == "the vendor's Defender"
    assert unprotect(protection.text) == _BY_TOOL
    again = protected(protection.text, migrate=True)
    assert (again.edits, again.report.unchanged) == ((), True)


def test_a_lone_wrapped_entrypoint_is_unwrapped() -> None:
    """Where the tool's ENTRYPOINT is the only one, it loses the vendor's arguments and gets ours."""
    text = _BY_TOOL.replace('ENTRYPOINT ["catalina.sh", "run"]\n', "")
    assert protected(text, migrate=True).report.arguments == ("catalina.sh", "run")
    assert unprotect(protected(text, migrate=True).text) == text


@pytest.mark.parametrize(
    "command",
    ["exec /defender app-embedded gunicorn --bind :$PORT", "/x/defender  app-embedded gunicorn --bind :$PORT"],
)
def test_shell_form_is_unwrapped(command: str) -> None:
    """Out of a shell form the Defender's words are taken and the rest stays a text for the shell."""
    text = f"FROM scratch\nADD ./twistlock_defender_app_embedded.tar.gz /\nENTRYPOINT {command}\n"
    rest = command.replace("/defender app-embedded ", "").replace("/x/defender  app-embedded ", "")
    assert protected(text, migrate=True).report.arguments == ("/bin/sh", "-c", rest)


def test_a_wrapped_cmd_is_unwrapped() -> None:
    """The Defender may have been put into CMD."""
    text = "FROM nginx\nADD twistlock_defender_app_embedded.tar.gz /\nCMD exec /defender app-embedded ls\n"
    protection = protected(text, migrate=True, image=NGINX)
    assert protection.report.arguments == ("/docker-entrypoint.sh", "/bin/sh", "-c", "exec ls")


def test_variables_of_the_user_are_kept() -> None:
    """ENV that sets others as well stays as it is, and the report names what it sets."""
    text = _BY_TOOL.replace('ENV DATA_FOLDER="/tmp"', 'ENV MINE=1 DATA_FOLDER="/tmp"')
    protection = protected(text, migrate=True)
    assert 'ENV MINE=1 DATA_FOLDER="/tmp"\n' in protection.text
    assert any(warning.startswith("the file sets `DATA_FOLDER` itself") for warning in protection.report.warnings)


def test_a_defender_put_in_by_hand_is_told_from_the_vendors() -> None:
    """A wrap without the vendor's names is refused, and migrated, as one put in by hand."""
    text = 'FROM a\nENTRYPOINT ["/bartizan/defender", "app-embedded", "/app"]\n'
    assert "a Defender that was put in by hand" in refusal(text)
    protection = protected(text, migrate=True)
    assert protection.report.migrated_from == "a Defender that was put in by hand"
    assert protection.text.startswith(text)


def test_a_migrated_file_can_be_upgraded() -> None:
    """An upgrade goes from the vendor's file again, so it has to be asked for the migration again."""
    text = protected(_BY_TOOL, migrate=True).text
    newer = DockerfileSettings(app_id="b", install_bundle="eyJh", ws_address="wss://d:1", version="0.2.0", migrate=True)
    assert protect(text, image=None, settings=newer).text == protect(_BY_TOOL, image=None, settings=newer).text
