"""An RTSP server of GStreamer's that takes and plays streams over TCP. Debian's own python3 runs it.

``/publish/NAME`` takes a stream (RECORD, H.264); while somebody publishes, ``/NAME`` plays it, and answers
404 otherwise. ``--publish NAME=CODEC`` takes and plays sound in that codec, too, at its own times.
``--play NAME=PIPELINE`` plays a GStreamer pipeline under ``/NAME``. With ``--user`` and ``--password``
every path wants them. It prints its port once it serves, and ends with its standard input.
"""

import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402

RECORD = "( rtph264depay name=depay0 ! h264parse config-interval=-1 ! {caps} ! appsink name=sink sync=false )"
PLAY = "( appsrc name=source is-live=true format=time do-timestamp=true ! h264parse ! rtph264pay name=pay0 pt=96 )"
SOUND_RECORD = "( {video} {depay} name=depay1 ! {parse} ! appsink name=sound sync=false )"
SOUND_PLAY = "( {video} appsrc name=sound_source is-live=true format=time ! {parse} ! {pay} name=pay1 pt=97 )"
SOUND = {
    "aac": {"depay": "rtpmp4gdepay", "parse": "aacparse", "pay": "rtpmp4gpay"},
    "opus": {"depay": "rtpopusdepay", "parse": "opusparse", "pay": "rtpopuspay"},
    "pcma": {"depay": "rtppcmadepay", "parse": "identity", "pay": "rtppcmapay"},
}
CAPS = "video/x-h264,stream-format=byte-stream,alignment=au"


class Relay:
    """Passes the samples of one publisher on to the media that play it."""

    def __init__(self, server: "Server", name: str, codec: str) -> None:
        self.server = server
        self.name = name
        self.codec = codec
        self.lock = threading.Lock()
        self.players: dict[GstApp.AppSrc, bool] = {}  # whether it has had a key frame
        self.sound_players: list[GstApp.AppSrc] = []
        self.newest: GstRtspServer.RTSPMedia | None = None

    def recording(self, factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
        """A publisher comes, perhaps while what an earlier one sent is still on its line."""
        self.newest = media
        sink = media.get_element().get_by_name("sink")
        sink.set_property("emit-signals", True)
        sink.connect("new-sample", self.sample)
        if self.codec:
            sound = media.get_element().get_by_name("sound")
            sound.set_property("emit-signals", True)
            sound.connect("new-sample", self.sound_sample)
        media.connect("unprepared", self.gone)
        self.started = False

    def sample(self, sink: GstApp.AppSink) -> Gst.FlowReturn:
        """A picture of the publisher."""
        sample = sink.emit("pull-sample")
        if not self.started:
            self.started = True
            GLib.idle_add(self.server.announce, self)
        buffer = sample.get_buffer()
        key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        with self.lock:
            for source in list(self.players):
                self.players[source] = self.players[source] or key
                if self.players[source]:
                    copied = buffer.copy_deep()
                    if self.codec:
                        copied.pts = copied.dts = self.time(buffer, sink, source)
                    else:
                        copied.pts = copied.dts = Gst.CLOCK_TIME_NONE
                    source.emit("push-buffer", copied)
        return Gst.FlowReturn.OK

    def sound_sample(self, sink: GstApp.AppSink) -> Gst.FlowReturn:
        """Sound of the publisher."""
        sample = sink.emit("pull-sample")
        with self.lock:
            for source in self.sound_players:
                copied = sample.get_buffer().copy_deep()
                copied.pts = copied.dts = self.time(copied, sink, source)
                source.set_property("caps", sample.get_caps())
                source.emit("push-buffer", copied)
        return Gst.FlowReturn.OK

    @staticmethod
    def time(buffer: Gst.Buffer, sink: GstApp.AppSink, source: GstApp.AppSrc) -> int:
        """A buffer's time in the pipeline of a viewer: both go by the system's clock, once that one runs."""
        begin = source.get_base_time()
        return max(0, buffer.pts + sink.get_base_time() - begin) if begin else 0

    def playing(self, factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
        """A viewer comes."""
        source = media.get_element().get_by_name("source")
        source.set_property("caps", Gst.Caps.from_string(CAPS))
        sound = media.get_element().get_by_name("sound_source")
        with self.lock:
            self.players[source] = False
            if sound is not None:
                self.sound_players.append(sound)

        def leave(media: GstRtspServer.RTSPMedia) -> None:
            with self.lock:
                self.players.pop(source, None)
                if sound in self.sound_players:
                    self.sound_players.remove(sound)

        media.connect("unprepared", leave)

    def gone(self, media: GstRtspServer.RTSPMedia) -> None:
        """The publisher has left: its viewers are cut off."""
        if media is not self.newest:
            return
        self.server.mounts.remove_factory("/" + self.name)
        with self.lock:
            sources, self.players = [*self.players, *self.sound_players], {}
            self.sound_players = []
        for source in sources:
            source.emit("end-of-stream")


class Server:
    """The server with its mount points."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.server = GstRtspServer.RTSPServer()
        self.server.set_address(options.address)
        self.server.set_service(str(options.port))
        # A viewer who waits for a picture must not hold up the publisher: a thread for each connection.
        self.server.get_thread_pool().set_max_threads(-1)
        self.mounts = self.server.get_mount_points()
        if options.user or options.certificate:
            self.server.set_auth(self.auth())
        for spec in options.publish:
            name, _, codec = spec.partition("=")
            relay = Relay(self, name, codec)
            factory = self.factory(with_sound(RECORD.format(caps=CAPS), SOUND_RECORD, codec))
            factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
            factory.set_shared(False)
            factory.connect("media-configure", relay.recording)
            self.mounts.add_factory("/publish/" + name, factory)
        for spec in options.play:
            name, _, pipeline = spec.partition("=")
            self.mounts.add_factory("/" + name, self.factory(pipeline))

    def auth(self) -> GstRtspServer.RTSPAuth:
        """Who may do what."""
        auth = GstRtspServer.RTSPAuth()
        if self.options.certificate:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(self.options.certificate))
        if self.options.user:
            token = GstRtspServer.RTSPToken()
            token.set_string("media.factory.role", "user")
            methods = {"basic": GstRtsp.RTSPAuthMethod.BASIC, "digest": GstRtsp.RTSPAuthMethod.DIGEST}
            auth.set_supported_methods(methods[self.options.auth])
            auth.add_digest(self.options.user, self.options.password, token)
            basic = GstRtspServer.RTSPAuth.make_basic(self.options.user, self.options.password)
            auth.add_basic(basic, token)
        else:
            token = GstRtspServer.RTSPToken()
            token.set_string("media.factory.role", "user")
            auth.set_default_token(token)
        return auth

    def factory(self, pipeline: str) -> GstRtspServer.RTSPMediaFactory:
        """A factory for ``pipeline`` that only speaks TCP, shared by its viewers."""
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(pipeline)
        factory.set_shared(True)
        factory.set_latency(0)
        tcp = GstRtsp.RTSPLowerTrans(0) if self.options.udp_only else GstRtsp.RTSPLowerTrans.TCP
        udp = GstRtsp.RTSPLowerTrans(0) if self.options.tcp_only else GstRtsp.RTSPLowerTrans.UDP
        factory.set_protocols(tcp | udp)
        if self.options.user or self.options.certificate:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("user", "media.factory.access", True)
            permissions.add_permission_for_role("user", "media.factory.construct", True)
            factory.set_permissions(permissions)
        return factory

    def announce(self, relay: Relay) -> bool:
        """The first picture of a publisher is there: it can be played from now on."""
        play = PLAY.replace(" do-timestamp=true", "") if relay.codec else PLAY
        factory = self.factory(with_sound(play, SOUND_PLAY, relay.codec))
        factory.connect("media-configure", relay.playing)
        self.mounts.add_factory("/" + relay.name, factory)
        return False


def with_sound(video: str, both: str, codec: str) -> str:
    """The pipeline ``both`` around that of the ``video``; that alone where there is no codec."""
    return both.format(video=video.strip("( )"), **SOUND[codec]) if codec else video


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--publish", action="append", default=[])
    parser.add_argument("--play", action="append", default=[])
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--auth", choices=("basic", "digest"), default="digest")
    parser.add_argument("--certificate")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--udp_only", action="store_true")
    parser.add_argument("--tcp_only", action="store_true")
    Gst.init(None)
    server = Server(parser.parse_args())
    loop = GLib.MainLoop()
    if not server.server.attach(None):
        sys.exit("the port is taken")

    def wait_for_the_end() -> None:
        sys.stdin.read()
        loop.quit()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print(server.server.get_bound_port(), flush=True)
    loop.run()


if __name__ == "__main__":
    main()
