"""TLS of our own sockets, and what is wrong with a certificate in words."""

import socket
import ssl

CERTIFICATES_VARIABLE = "SSL_CERT_FILE"
"""The environment's PEM file with the authorities to trust. OpenSSL reads it."""

_EXPIRED, _SELF_SIGNED, _NO_AUTHORITY, _NOT_YET_VALID = 10, 18, 20, 9  # X509_V_ERR_… of OpenSSL's x509_vfy.h
_SELF_SIGNED_IN_CHAIN, _OTHER_HOST, _OTHER_ADDRESS = 19, 62, 64


def tls_context(*, insecure: bool) -> ssl.SSLContext:
    """A context for clients that trusts the system's authorities, or those of ``SSL_CERT_FILE``.

    ``insecure`` takes any certificate.
    """
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def ffmpeg_tls_options(*, insecure: bool) -> dict[str, str]:
    """Options with which FFmpeg trusts the same authorities. Its own default differs between its releases."""
    if insecure:
        return {"tls_verify": "0"}
    found = ssl.get_default_verify_paths().cafile
    return {"tls_verify": "1"} | ({"ca_file": found} if found is not None else {})


def tls_failure(host: str, port: int, context: ssl.SSLContext, timeout: float) -> ssl.SSLError | None:
    """Why a TLS handshake with a server fails; ``None`` when it does not, or when nobody answers.

    For libraries that do not say it themselves. ``timeout``, in seconds, is for each of three steps.
    """
    try:
        with (
            socket.create_connection((host, port), timeout) as connection,
            context.wrap_socket(connection, server_hostname=host) as tls,
        ):
            # In TLS 1.3 a server says after the handshake that it wants another certificate of ours, or just closes.
            return None if tls.recv(1) else ssl.SSLZeroReturnError("closed after the handshake")
    except ssl.SSLError as error:
        return error
    except OSError:
        return None


def speaks_tls(host: str, port: int, timeout: float) -> bool:
    """Whether a server takes a TLS handshake, with whatever certificate."""
    try:
        with (
            socket.create_connection((host, port), timeout) as connection,
            tls_context(insecure=True).wrap_socket(connection, server_hostname=host),
        ):
            return True
    except OSError:
        return False


def tls_reason(error: ssl.SSLError, authorities: str = CERTIFICATES_VARIABLE) -> str:
    """What went wrong in a handshake, and the remedy. ``authorities``: where the user names a file of them."""
    if isinstance(error, ssl.SSLZeroReturnError):
        return "the server closes the connection after the handshake: it may want a certificate of this client"
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = (error.reason or str(error)).replace("_", " ").lower()
        if "alert" in reason and "certificate" in reason:
            return f"the server wants another certificate of this client ({reason})"
        return f"the TLS handshake failed ({reason}): does the server speak TLS at this port?"
    code = error.verify_code
    if code in (_SELF_SIGNED, _NO_AUTHORITY, _SELF_SIGNED_IN_CHAIN):
        return (
            f"the server's certificate is not trusted ({error.verify_message}): name a file with it, or with its "
            f"authority, in {authorities}"
        )
    if code in (_OTHER_HOST, _OTHER_ADDRESS):
        return f"the server's certificate is for another name ({error.verify_message}): use the name that it has"
    if code in (_EXPIRED, _NOT_YET_VALID):
        return f"the server's certificate is out of date ({error.verify_message}): renew it, or correct this clock"
    return f"the server's certificate is not trusted: {error.verify_message}"
