# OVMS for this project's graphs, in two forms. Build from the repository's root:
#   --target stock     OVMS as it is: graphs/holistic_classifier runs on its own calculators, up to 2026.4
#   --target python    with this project's holistic inference: graphs/holistic_python runs on any OVMS that has Python
# docs/ovms-versions.md says which version runs which graph.
ARG OVMS_IMAGE=openvino/model_server:2026.4
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY protos protos
COPY client client
COPY server server
COPY wire wire
COPY graphs graphs
COPY models models
COPY server_config server_config
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${OVMS_IMAGE} AS stock
USER 5000

FROM stock AS python
USER 0
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY --from=build /wheels /wheels
# hadolint ignore=DL3008,DL3013
RUN apt-get update && apt-get install --yes --no-install-recommends python3-pip \
    && python3 -m pip install --no-cache-dir --break-system-packages "$(ls /wheels/*.whl)[embedded]" \
    && rm -rf /var/lib/apt/lists/* /wheels
RUN python3 -m graph_server assets --models_dir /ovms/holistic_models
ENV PYTHONPATH=/ovms/lib/python
USER 5000
