"""Which certificates are believed, and what a technician is told of the others. No server, no network."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from drivers import ConfigurationError
from drivers.opcua.identifier import identifier_text, parse_identifier
from drivers.opcua.pki import make_own, own, thumbprint
from drivers.opcua.trust import Believed, believe, require_application
from drivers.tests.certificates import der, issue, trust

NOW = datetime(2026, 1, 15, tzinfo=UTC)
LONG_AGO = datetime(2020, 6, 1, tzinfo=UTC)
AUTHORITY = issue("authority", uri=None, hosts=(), authority=True)


def ask(
    pki: Path, *sent: x509.Certificate, host: str = "127.0.0.1", now: datetime = NOW, accept: bool = False
) -> Believed:
    return believe(b"".join(der(c) for c in sent), pki, host, now, accept)


def refused(pki: Path, *sent: x509.Certificate, host: str = "127.0.0.1") -> str:
    with pytest.raises(ConfigurationError) as caught:
        ask(pki, *sent, host=host)
    return str(caught.value)


def test_a_certificate_in_trusted_is_believed_without_a_word(tmp_path: Path) -> None:
    plc = issue("plc")
    trust(tmp_path, plc)
    assert ask(tmp_path, plc) == Believed(plc, ())


@pytest.mark.parametrize("name", ["plc.der", "plc.cer", "plc.crt", "plc"])
@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_the_file_may_have_any_name_and_be_der_or_pem(tmp_path: Path, name: str, encoding: Encoding) -> None:
    plc = issue("plc")
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / name).write_bytes(plc.public_bytes(encoding))
    assert ask(tmp_path, plc).certificate == plc


def test_a_broken_file_in_trusted_is_named_and_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plc = issue("plc")
    trust(tmp_path, plc)
    (tmp_path / "trusted" / "notes.txt").write_text("ask the integrator", encoding="utf-8")
    assert ask(tmp_path, plc).certificate == plc
    assert "notes.txt" in caplog.text


def test_nothing_trusted_means_nobody_is_believed(tmp_path: Path) -> None:
    assert "not trusted" in refused(tmp_path, issue("plc"))


def test_the_unknown_is_stored_once_and_told_with_its_thumbprint_and_what_to_do(tmp_path: Path) -> None:
    plc = issue("Station PLC/1")
    said = refused(tmp_path, plc)
    assert refused(tmp_path, plc) == said
    (file,) = (tmp_path / "rejected").iterdir()
    assert file.read_bytes() == der(plc)
    assert file.name.startswith("Station_PLC_1-")
    assert thumbprint(plc) in said
    assert thumbprint(plc).replace(" ", "") == plc.fingerprint(hashes.SHA256()).hex().upper()
    assert f"move {file} to {tmp_path / 'trusted'}" in said


def test_a_stream_of_unknown_certificates_fills_no_disk(tmp_path: Path) -> None:
    for _ in range(40):
        refused(tmp_path, issue("plc"))
    assert len(list((tmp_path / "rejected").iterdir())) == 32


def test_an_unknown_certificate_that_cannot_be_stored_is_still_told_of(tmp_path: Path) -> None:
    (tmp_path / "rejected").write_text("a file where the folder should be", encoding="ascii")
    assert "could not be stored" in refused(tmp_path, issue("plc"))


def test_who_a_trusted_authority_issued_is_believed_also_through_an_intermediate_one(tmp_path: Path) -> None:
    trust(tmp_path, AUTHORITY)
    direct = issue("plc", issuer="authority")
    middle = issue("middle", uri=None, hosts=(), authority=True, issuer="authority")
    below = issue("plc", issuer="middle")
    assert ask(tmp_path, direct).certificate == direct
    assert ask(tmp_path, below, middle).certificate == below
    assert "not trusted" in refused(tmp_path, below)  # nobody sent who stands between


def test_who_only_bears_the_authoritys_name_is_not_believed(tmp_path: Path) -> None:
    trust(tmp_path, issue("impostor", uri=None, hosts=(), authority=True))
    assert "not trusted" in refused(tmp_path, issue("plc", issuer="authority"))


@pytest.mark.parametrize(
    "signer",
    [
        issue("signer", uri=None, hosts=(), authority=False),
        issue("signer", authority=True),  # a device that calls itself an authority, as self-signed ones do
    ],
)
def test_a_trusted_device_speaks_for_no_other(tmp_path: Path, signer: x509.Certificate) -> None:
    trust(tmp_path, signer)
    assert "not trusted" in refused(tmp_path, issue("plc", issuer="signer"))


def test_an_authoritys_weak_signature_is_not_believed(tmp_path: Path) -> None:
    trust(tmp_path, AUTHORITY)
    assert "not trusted" in refused(tmp_path, issue("plc", issuer="authority", algorithm=hashes.SHA224()))


def test_a_key_that_is_too_short_is_refused_though_trusted(tmp_path: Path) -> None:
    weak = issue("weak")
    trust(tmp_path, weak)
    assert "2048" in refused(tmp_path, weak)


def test_an_expired_certificate_is_refused_with_both_remedies_unless_the_site_accepts_it(
    tmp_path: Path,
) -> None:
    old = issue("plc", end=LONG_AGO)
    trust(tmp_path, old)
    said = refused(tmp_path, old)
    assert "expired on 2020-06-01" in said
    assert "clock says 2026-01-15 00:00 UTC" in said
    assert "accept_expired = true" in said
    (warning,) = ask(tmp_path, old, accept=True).warnings
    assert "expired" in warning


def test_an_expired_authority_is_refused_too(tmp_path: Path) -> None:
    trust(tmp_path, issue("authority", uri=None, hosts=(), authority=True, end=LONG_AGO))
    assert "'authority'" in refused(tmp_path, issue("plc", issuer="authority"))


@pytest.mark.parametrize("year", [1970, 2000, 2019])
def test_a_clock_that_was_never_set_is_told_of_and_locks_nobody_out(tmp_path: Path, year: int) -> None:
    plc = issue("plc")
    trust(tmp_path, plc)
    (warning,) = ask(tmp_path, plc, now=datetime(year, 1, 1, tzinfo=UTC)).warnings
    assert "seems not to be set" in warning


def test_a_certificate_is_told_of_before_it_expires(tmp_path: Path) -> None:
    plc = issue("plc", end=NOW + timedelta(days=29))
    trust(tmp_path, plc)
    (warning,) = ask(tmp_path, plc).warnings
    assert "renew it" in warning


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (["plc.station.local"], "PLC.station.local"),
        (["plc"], "plc.station.local"),
        (["10.0.0.7"], "10.0.0.7"),
        (["::1"], "0:0:0:0:0:0:0:1"),
    ],
)
def test_an_issued_certificate_is_good_for_the_hosts_it_names(
    tmp_path: Path, hosts: list[str], host: str
) -> None:
    trust(tmp_path, AUTHORITY)
    assert ask(tmp_path, issue("plc", issuer="authority", hosts=hosts), host=host).warnings == ()


@pytest.mark.parametrize("hosts", [["10.0.0.8"], ["plc"], []])
def test_an_issued_certificate_for_another_host_is_refused_and_a_compared_one_only_told_of(
    tmp_path: Path, hosts: list[str]
) -> None:
    issued, compared = issue("plc", issuer="authority", hosts=hosts), issue("plc", hosts=hosts)
    trust(tmp_path, AUTHORITY, compared)
    assert "does not name the host 10.0.0.7" in refused(tmp_path, issued, host="10.0.0.7")
    (warning,) = ask(tmp_path, compared, host="10.0.0.7").warnings
    assert "does not name the host 10.0.0.7" in warning


@pytest.mark.parametrize(("uri", "claimed"), [("urn:a", "urn:b"), (None, "urn:b"), ("urn:a", None)])
def test_a_certificate_of_another_application_is_refused(uri: str | None, claimed: str | None) -> None:
    with pytest.raises(ConfigurationError, match="made out to"):
        require_application(issue("plc", uri=uri), claimed)
    require_application(issue("plc", uri="urn:a"), "urn:a")


@pytest.mark.parametrize("sent", [b"", b"\x30", b"\x30\x82", b"hello", b"\x30\x03\x02\x01\x05"])
def test_what_is_no_certificate_is_refused(tmp_path: Path, sent: bytes) -> None:
    with pytest.raises(ConfigurationError):
        believe(sent, tmp_path, "h", NOW, accept_expired=False)


@given(st.binary(max_size=200))
def test_no_octets_break_the_judgement(sent: bytes) -> None:
    with pytest.raises(ConfigurationError):
        believe(sent, Path("/nonexistent/pki"), "h", NOW, accept_expired=False)


def test_our_own_certificate_is_made_once_with_a_key_that_only_we_can_read(tmp_path: Path) -> None:
    made = make_own(tmp_path, "urn:station7:substation-edge", "station7")
    again = own(tmp_path)
    assert again.certificate == made
    assert again.application_uri == "urn:station7:substation-edge"
    assert stat.S_IMODE(again.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    found = x509.load_der_x509_certificate(made.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["station7"]
    assert found.public_key() == load_pem_private_key(again.key.read_bytes(), None).public_key()
    assert isinstance(found.signature_hash_algorithm, hashes.SHA256)
    assert again.thumbprint == thumbprint(found)


def test_two_buses_that_start_at_once_share_one_certificate(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        prints = {us.thumbprint for us in pool.map(lambda _: own(tmp_path), range(4))}
    assert len(prints) == 1
    assert sorted(f.name for f in tmp_path.iterdir()) == ["own", "rejected", "trusted"]


def test_another_application_uri_than_in_our_certificate_is_refused_with_the_remedy(tmp_path: Path) -> None:
    own(tmp_path, "urn:a")
    with pytest.raises(ConfigurationError, match="move"):
        own(tmp_path, "urn:b")


def test_half_an_identity_is_refused_and_never_overwritten(tmp_path: Path) -> None:
    us = own(tmp_path)
    us.key.unlink()
    before = us.certificate.read_bytes()
    with pytest.raises(ConfigurationError, match=r"key\.pem"):
        own(tmp_path)
    assert us.certificate.read_bytes() == before


def test_anothers_key_is_noticed(tmp_path: Path) -> None:
    us, other = own(tmp_path / "a"), own(tmp_path / "b")
    os.replace(other.key, us.key)
    with pytest.raises(ConfigurationError, match="not the key"):
        own(tmp_path / "a")


def test_a_folder_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "pki").write_text("a file", encoding="ascii")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        own(tmp_path / "pki")


@given(st.one_of(st.integers(0, 2**32 - 1), st.text(), st.uuids(), st.binary()))
def test_every_identifier_survives_its_text(identifier: object) -> None:
    assert parse_identifier(identifier_text(identifier)) == identifier  # type: ignore[arg-type]


def test_our_own_key_with_a_pass_phrase_is_a_configuration_error(tmp_path: Path) -> None:
    make_own(tmp_path, "urn:test:gateway", "gateway")
    file = tmp_path / "own" / "key.pem"
    key = load_pem_private_key(file.read_bytes(), None)
    phrase = BestAvailableEncryption(b"phrase")
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, phrase))
    with pytest.raises(ConfigurationError, match="pass phrase"):
        own(tmp_path, "urn:test:gateway")
