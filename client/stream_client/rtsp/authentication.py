"""Basic and Digest authentication (RFC 7617, RFC 7616). No I/O."""

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stream_client.util.urls import Credentials

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@dataclass(slots=True)
class Authenticator:
    """Answers a server's challenges with ``credentials``; ``nonce`` makes the client's own."""

    credentials: Credentials
    nonce: Callable[[], str] = field(default=lambda: secrets.token_hex(8))
    _scheme: str = ""
    _parameters: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    def challenged(self, challenges: Sequence[str]) -> bool:
        """Take the strongest of the server's challenges; ``False`` when there is none that can be answered."""
        best = max(challenges, key=_strength, default="")
        if _strength(best) == 0:
            return False
        self._scheme = best.split(" ", 1)[0].lower()
        self._parameters = _parameters(best)
        self._count = 0
        return True

    @property
    def shows_password(self) -> bool:
        """Whether the method that the server chose sends the password itself."""
        return self._scheme == "basic"

    def header(self, method: str, url: str) -> str | None:
        """The value of ``Authorization`` for a request; ``None`` before a challenge."""
        user, password = self.credentials.user, self.credentials.password
        if self._scheme == "basic":
            return self.credentials.basic
        if self._scheme == "digest":
            return self._digest(method, url, user, password)
        return None

    def _digest(self, method: str, url: str, user: str, password: str) -> str:
        given = self._parameters
        algorithm = given.get("algorithm", "MD5").upper()
        realm, server_nonce = given.get("realm", ""), given.get("nonce", "")

        def hashed(*parts: str) -> str:
            return _HASHES[algorithm](":".join(parts).encode(), usedforsecurity=False).hexdigest()

        secret, request = hashed(user, realm, password), hashed(method, url)
        fields = {"username": user, "realm": realm, "nonce": server_nonce, "uri": url}
        bare: dict[str, str] = {}
        if "auth" in [word.strip() for word in given.get("qop", "").split(",")]:
            self._count += 1
            count, own = f"{self._count:08x}", self.nonce()
            fields |= {"cnonce": own, "response": hashed(secret, server_nonce, count, own, "auth", request)}
            bare |= {"qop": "auth", "nc": count}
        else:
            fields["response"] = hashed(secret, server_nonce, request)
        if "opaque" in given:
            fields["opaque"] = given["opaque"]
        if "algorithm" in given:
            bare["algorithm"] = given["algorithm"]
        quoted = [f'{name}="{_escaped(value)}"' for name, value in fields.items()]
        return "Digest " + ", ".join([*quoted, *(f"{name}={value}" for name, value in bare.items())])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _parameters(challenge: str) -> dict[str, str]:
    found = _PARAMETER.findall(challenge.partition(" ")[2])
    return {name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in found}


def _strength(challenge: str) -> int:
    """How strong a challenge's method is; 0 for one that we cannot answer."""
    scheme = challenge.split(" ", 1)[0].lower()
    if scheme == "basic":
        return 1
    if scheme == "digest":
        algorithm = _parameters(challenge).get("algorithm", "MD5").upper()
        return {"MD5": 2, "SHA-256": 3}.get(algorithm, 0)
    return 0
