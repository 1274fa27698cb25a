"""An MLServer runtime that returns the image it is given."""

from collections.abc import AsyncIterator

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Echo(MLModel):  # type: ignore[misc]  # mlserver has an environment of its own
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        image = payload.inputs[0]
        output = ResponseOutput(name="returned", shape=image.shape, datatype=image.datatype, data=image.data)
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        async for payload in payloads:
            yield await self.predict(payload)
