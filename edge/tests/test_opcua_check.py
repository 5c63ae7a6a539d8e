"""What a site may not say of an OPC UA connection, with key and code, and what the driver is then told."""

from pathlib import Path

import pytest

from drivers import OpcUaBus
from edge.assembly import bus_setting
from edge.opcua_check import faults
from edge.site import OpcUaServer
from edge.texts import Texts

GOOD: dict[str, object] = {"id": "plc", "kind": "opcua", "url": "opc.tcp://plc:4840", "pki": "/pki"}


def codes(changes: dict[str, object], files: bool = False) -> list[tuple[str, str]]:
    given = {key: value for key, value in (GOOD | changes).items() if value is not None}
    return [(fault.key, fault.code) for fault in faults(OpcUaServer.model_validate(given), files)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"pki": None, "insecure": True}, []),
        ({"pki": None}, [("insecure", "opcua_insecure")]),
        ({"insecure": True}, [("pki", "opcua_insecure_and")]),
        ({"pki": None, "insecure": True, "policy": "Basic256Sha256"}, [("policy", "opcua_insecure_and")]),
        (
            {"pki": None, "insecure": True, "user": "a", "password_file": "/p"},
            [("user", "opcua_password_clear")],
        ),
        ({"user": "a"}, [("password_file", "opcua_login_half")]),
        ({"password_file": "/p"}, [("user", "opcua_login_half")]),
        ({"url": "opc.tcp://a:b@plc:4840"}, [("url", "opcua_login_in_url")]),
    ],
)
def test_a_connection_less_secure_than_it_looks_is_refused(
    changes: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    assert codes(changes) == expected
    texts = Texts.load()
    for _, code in expected:
        assert f"check.{code}" in texts
        assert f"check.{code}.remedy" in texts


def test_the_password_must_be_there_and_nobody_elses_when_a_person_asks(tmp_path: Path) -> None:
    file = tmp_path / "password"
    login: dict[str, object] = {"user": "a", "password_file": str(file)}
    assert codes(login) == []  # the running service: a missing file stops no plant
    assert codes(login, files=True) == [("password_file", "no_such_file")]
    file.touch(0o640)
    assert codes(login, files=True) == []
    file.chmod(0o644)
    assert codes(login, files=True) == [("password_file", "password_readable")]


def test_the_driver_is_told_everything_the_site_says() -> None:
    said = GOOD | {
        "policy": "Aes256Sha256RsaPss",
        "security": "Sign",
        "application_uri": "urn:station7",
        "accept_expired": True,
        "user": "a",
        "password_file": "/p",
        "sampling_ms": 500,
        "timeout_s": 2.0,
    }
    assert bus_setting(OpcUaServer.model_validate(said)) == OpcUaBus(
        "opc.tcp://plc:4840",
        500,
        2.0,
        policy="Aes256Sha256RsaPss",
        security="Sign",
        pki=Path("/pki"),
        application_uri="urn:station7",
        accept_expired=True,
        user="a",
        password_file=Path("/p"),
    )
