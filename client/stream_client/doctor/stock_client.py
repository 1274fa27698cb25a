"""Asks the server once with Triton's own client: if that succeeds where ours fails, the fault is ours."""

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kserve_wire.names import TIMESTAMP
from stream_client.doctor.finding import Finding, amiss, ok, skipped
from stream_client.doctor.probe import fitting
from stream_client.errors import StreamClientError
from stream_client.frames import Image, Tensor
from stream_client.transport.options import TlsOptions, TransportOptions
from stream_client.transport.session import connect
from stream_client.util.extras import install_command

_READY, _METADATA, _INFER = "stock client, ready", "stock client, metadata", "stock client, infer"
_INSTALL = f"install it: {install_command('clients')}"
_SERVER = "the fault is the server's, not this client's: look into its log"


@dataclass(frozen=True, slots=True)
class StockClientChecks:
    """What to ask: as :class:`~stream_client.doctor.server.ServerChecks`."""

    options: TransportOptions
    image: Image
    request_timeout: float

    def run(self) -> Iterator[Finding]:
        """Readiness, metadata and one inference, by tritonclient."""
        try:
            import tritonclient.grpc as triton
            from tritonclient.utils import InferenceServerException
        except ImportError:
            yield amiss("stock client", "tritonclient is not installed", _INSTALL, needed=False)
            return
        try:
            session = connect(self.options)
        except StreamClientError as error:
            yield from skipped((_READY, _METADATA, _INFER), f"no servable to ask for: {error.message}")
            return
        name = session.servable.name
        image = session.image_format.to_tensor(fitting(self.image, session.image_format))
        with triton.InferenceServerClient(self.options.address, **_credentials(self.options.tls)) as client:
            asked: tuple[tuple[str, Callable[[], str]], ...] = (
                (_READY, lambda: "yes" if client.is_model_ready(name, client_timeout=self.request_timeout) else "no"),
                (_METADATA, lambda: _described(client.get_model_metadata(name, client_timeout=self.request_timeout))),
                (_INFER, lambda: self._inferred(triton, client, name, image)),
            )
            for check, ask in asked:
                try:
                    yield ok(check, f"{name}: {ask()}")
                except InferenceServerException as error:
                    yield amiss(check, error.message(), _SERVER, needed=False)
                except queue.Empty:
                    yield amiss(check, f"no answer within {self.request_timeout:g} s", _SERVER, needed=False)

    def _inferred(self, triton: Any, client: Any, name: str, image: Tensor) -> str:
        """The outputs of the first answer; raises tritonclient's exception, or :class:`queue.Empty`."""
        given = triton.InferInput(image.name, image.array.shape, image.datatype)
        given.set_data_from_numpy(image.array)
        if self.options.api == "unary":
            result = client.infer(name, [given], client_timeout=self.request_timeout)
        else:
            answers: queue.Queue[tuple[Any, Exception | None]] = queue.Queue()
            client.start_stream(lambda result, error: answers.put((result, error)))
            try:
                client.async_stream_infer(name, [given], parameters={TIMESTAMP: 1, **self.options.sent_parameters})
                result, error = answers.get(timeout=self.request_timeout)
            finally:
                client.stop_stream(cancel_requests=True)
            if error is not None:
                raise error
        outputs = result.get_response().outputs
        return ", ".join(f"{output.name} {output.datatype} {list(output.shape)}" for output in outputs)


def _described(metadata: Any) -> str:
    inputs, outputs = (", ".join(spec.name for spec in specs) for specs in (metadata.inputs, metadata.outputs))
    return f"{inputs} -> {outputs}"


def _credentials(tls: TlsOptions | None) -> dict[str, Any]:
    if tls is None:
        return {}
    names = {"root_certificates": tls.ca, "private_key": tls.key, "certificate_chain": tls.certificate}
    return {"ssl": True, **{name: str(path) for name, path in names.items() if path is not None}}
