"""An ONVIF device: device and media service over SOAP, found by WS-Discovery."""

import base64
import contextlib
import hashlib
import json
import re
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from defusedxml import ElementTree

_ENVELOPE = (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" '
    'xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body>{}</s:Body></s:Envelope>'
)
_REFUSED = (
    '<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:ter="http://www.onvif.org/ver10/error">'
    'ter:NotAuthorized</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">Sender not Authorized</s:Text>'
    "</s:Reason></s:Fault>"
)
_WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
_WSU = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"


class OnvifDevice:
    """Serves profiles with the addresses of their streams. ``user`` and ``password``: asked for, where given."""

    def __init__(self, streams: dict[str, str], *, user: str = "", password: str = "", nonsense: bytes = b"") -> None:
        self.streams = streams
        self._credentials = (user, password)
        self._nonsense = nonsense
        device = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = device.answer(body)
                self.send_response(status)
                self.send_header("Content-Type", "application/soap+xml")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "OnvifDevice":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, body: bytes) -> tuple[int, bytes]:
        if self._nonsense:
            return 200, self._nonsense
        root = ElementTree.fromstring(body)
        body_of = root.find("{http://www.w3.org/2003/05/soap-envelope}Body")
        assert body_of is not None
        request = body_of[0]
        name = request.tag.rpartition("}")[2]
        if name != "GetSystemDateAndTime" and not self._allowed(root):
            return 400, _ENVELOPE.format(_REFUSED).encode()
        return 200, _ENVELOPE.format(getattr(self, f"_{name}")(request)).encode()

    def _allowed(self, root: Any) -> bool:
        user, password = self._credentials
        if not user:
            return True
        token = root.find(f".//{_WSSE}UsernameToken")
        if token is None or token.findtext(f"{_WSSE}Username") != user:
            return False
        nonce = base64.b64decode(token.findtext(f"{_WSSE}Nonce"))
        created = token.findtext(f"{_WSU}Created").encode()
        digest = base64.b64encode(hashlib.sha1(nonce + created + password.encode()).digest()).decode()
        return bool(token.findtext(f"{_WSSE}Password") == digest)

    def _GetSystemDateAndTime(self, request: Any) -> str:
        return "<tds:GetSystemDateAndTimeResponse></tds:GetSystemDateAndTimeResponse>"

    def _GetServices(self, request: Any) -> str:
        services = "".join(
            f"<tds:Service><tds:Namespace>http://www.onvif.org/ver10/{name}/wsdl</tds:Namespace>"
            f"<tds:XAddr>http://{self.host}/onvif/{name}</tds:XAddr>"
            "<tds:Version><tt:Major>2</tt:Major><tt:Minor>0</tt:Minor></tds:Version></tds:Service>"
            for name in ("device", "media")
        )
        return f"<tds:GetServicesResponse>{services}</tds:GetServicesResponse>"

    def _GetCapabilities(self, request: Any) -> str:
        return (
            "<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Media>"
            f"<tt:XAddr>http://{self.host}/onvif/media</tt:XAddr><tt:StreamingCapabilities/></tt:Media>"
            "</tds:Capabilities></tds:GetCapabilitiesResponse>"
        )

    def _GetProfiles(self, request: Any) -> str:
        profiles = "".join(
            f'<trt:Profiles token="{name}" fixed="true"><tt:Name>{name}</tt:Name>'
            '<tt:VideoEncoderConfiguration token="v"><tt:Name>v</tt:Name><tt:UseCount>1</tt:UseCount>'
            "<tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>640</tt:Width><tt:Height>480</tt:Height>"
            "</tt:Resolution><tt:Quality>5</tt:Quality><tt:RateControl><tt:FrameRateLimit>15</tt:FrameRateLimit>"
            "<tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>2048</tt:BitrateLimit></tt:RateControl>"
            "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type></tt:Address><tt:Port>0</tt:Port><tt:TTL>1</tt:TTL>"
            "<tt:AutoStart>false</tt:AutoStart></tt:Multicast><tt:SessionTimeout>PT10S</tt:SessionTimeout>"
            "</tt:VideoEncoderConfiguration></trt:Profiles>"
            for name in self.streams
        )
        return f"<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>"

    def _GetStreamUri(self, request: Any) -> str:
        token = request.findtext("{http://www.onvif.org/ver10/media/wsdl}ProfileToken")
        return (
            f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{self.streams[token]}</tt:Uri>"
            "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot>"
            "<tt:Timeout>PT0S</tt:Timeout></trt:MediaUri></trt:GetStreamUriResponse>"
        )


_MATCH = (
    '<?xml version="1.0"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" '
    'xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><e:Header>'
    "<w:MessageID>urn:uuid:{message}</w:MessageID><w:RelatesTo>{probe}</w:RelatesTo>"
    "<w:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</w:To>"
    "<w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</w:Action>"
    '<d:AppSequence InstanceId="1" MessageNumber="1"/></e:Header><e:Body><d:ProbeMatches><d:ProbeMatch>'
    "<w:EndpointReference><w:Address>urn:uuid:{device}</w:Address></w:EndpointReference>"
    "<d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/name/{name}</d:Scopes>"
    "<d:XAddrs>http://{host}/onvif/device_service</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>"
    "</d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"
)
_GROUP = ("239.255.255.250", 3702)  # WS-Discovery 1.0, 2.4


@contextmanager
def announced(device: OnvifDevice, name: str) -> Iterator[None]:
    """The device answers probes of WS-Discovery on this machine's interfaces."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as group:
        group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        group.bind(("", _GROUP[1]))
        for interface in _addresses():
            member = socket.inet_aton(_GROUP[0]) + socket.inet_aton(interface)
            with contextlib.suppress(OSError):  # an interface without multicast
                group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        group.settimeout(0.1)
        over = threading.Event()
        thread = threading.Thread(target=_answer_probes, args=(group, device, name, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _answer_probes(group: socket.socket, device: OnvifDevice, name: str, over: threading.Event) -> None:
    identity = uuid.uuid4()
    while not over.is_set():
        try:
            data, sender = group.recvfrom(65_535)
        except TimeoutError:
            continue
        probe = re.search(rb"MessageID>([^<]+)<", data)
        if probe is None or b"/discovery/Probe<" not in data:
            continue
        answer = _MATCH.format(
            message=uuid.uuid4(), probe=probe[1].decode(), device=identity, name=name, host=device.host
        )
        group.sendto(answer.encode(), sender)


def _addresses() -> list[str]:
    """The IPv4 addresses of this machine."""
    shown = subprocess.run(["ip", "-4", "-json", "address"], capture_output=True, check=True, text=True).stdout
    return [info["local"] for link in json.loads(shown) for info in link["addr_info"]]
