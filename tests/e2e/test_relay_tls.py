"""The relay's own TLS: a certificate that the client verifies, and its renewal while the relay runs."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.relay_client import FrameClient
from tests.relay_host import RelayHost, relay_host
from zap2.server.tls import Certificate
from zap2.wire.fields import SUBPROTOCOL

_CA_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _write_certificate(folder: Path, serial: int) -> tuple[Path, Path]:
    """Make a self-signed certificate of 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        # What a strict check of a certificate authority asks for (Python 3.13 and newer).
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        .add_extension(_CA_USAGE, True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


@asynccontextmanager
async def _over_tls(host: RelayHost, trusted: Path) -> AsyncIterator[FrameClient]:
    context = ssl.create_default_context(cafile=str(trusted))
    uri = f"wss://127.0.0.1:{host.port}"
    async with connect(uri, subprotocols=[Subprotocol(SUBPROTOCOL)], ssl=context) as socket:
        client = FrameClient(socket)
        await client.greet()
        yield client
        await client.close()


async def test_the_certificate_is_verified_and_the_relay_greets(tmp_path: Path) -> None:
    cert, key = _write_certificate(tmp_path, 1)
    async with relay_host(tls_cert=cert, tls_key=key) as host:
        assert str(host.relay.address).startswith("zap2://")
        async with _over_tls(host, cert) as client:
            assert client.greeting.registration == "open"
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(f"wss://127.0.0.1:{host.port}", subprotocols=[Subprotocol(SUBPROTOCOL)])


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = _write_certificate(tmp_path, 1)
    certificate = Certificate(cert, key)
    assert _served_serial(certificate) == 1
    certificate.reload_if_changed()
    _write_certificate(tmp_path, 2)
    _touch(cert, 1)
    certificate.reload_if_changed()
    assert _served_serial(certificate) == 2
    cert.write_text("broken")
    _touch(cert, 2)
    certificate.reload_if_changed()
    assert _served_serial(certificate) == 2
    assert "the old one stays" in caplog.text


def _touch(path: Path, seconds: int) -> None:
    """Set a time of change that differs for sure."""
    os.utime(path, (seconds, seconds))


def _served_serial(certificate: Certificate) -> int:
    """Shake hands in memory; give the serial number of what the server shows."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    client = trusting.wrap_bio(to_client, to_server)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = client.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


async def _shown_serial(port: int) -> int:
    """Connect as a client that checks nothing; give the serial number of the certificate."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    return x509.load_der_x509_certificate(shown).serial_number


async def test_a_running_relay_shows_a_renewed_certificate_and_keeps_its_connections(tmp_path: Path) -> None:
    """Nobody has to restart anything when a certificate is renewed, and nobody is disconnected by it."""
    cert, key = _write_certificate(tmp_path, 1)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(cert.read_bytes())
    async with relay_host(tls_cert=cert, tls_key=key) as host, _over_tls(host, trusted) as client:
        assert await _shown_serial(host.port) == 1
        _write_certificate(tmp_path, 2)
        _touch(cert, 1)
        for _ in range(200):
            if await _shown_serial(host.port) == 2:
                break
            await asyncio.sleep(0.05)
        assert await _shown_serial(host.port) == 2
        await client.heard()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_peer_may_begin_tls_before_the_relay_has_taken_notice_of_it(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Its first bytes are there when the relay accepts the connection; they must not be lost before TLS takes over."""
    cert, key = _write_certificate(tmp_path, 1)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.create_default_context(cafile=str(cert))
    client = trusting.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = to_server.read()

    async def shake_hands() -> None:
        async with relay_host(tls_cert=cert, tls_key=key) as host:
            # Without a turn of the loop in between.
            peers = [socket.create_connection(("127.0.0.1", host.port)) for _ in range(20)]
            for peer in peers:
                peer.sendall(hello)
                peer.setblocking(False)
            async with asyncio.timeout(20):
                for peer in peers:
                    answer = await asyncio.get_running_loop().sock_recv(peer, 5)
                    assert answer[:1] == b"\x16", "no handshake message of TLS"
                    peer.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(shake_hands())
