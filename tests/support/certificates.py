"""Certificates that sign themselves."""

import subprocess
from pathlib import Path


def certificate_for(names: str, folder: Path) -> tuple[Path, Path]:
    """Key and certificate in one file, as the server takes them, and the certificate alone."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-days", "2", "-subj", "/CN=camera", "-addext", f"subjectAltName={names}"]
    subprocess.run([*request, *name, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return both, certificate
