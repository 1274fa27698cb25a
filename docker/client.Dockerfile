# The client alone: no inference runtime, no OpenCV, no display. Build it from the repository's root:
#   docker build -f docker/client.Dockerfile -t ovms-stream-client .
#   docker build -f docker/client.Dockerfile -t ovms-stream-client --build-arg EXTRAS=[cluster] .      with Ray
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
ARG EXTRAS=""
RUN python -m venv /opt/client && /opt/client/bin/pip install --no-cache-dir ".${EXTRAS}"

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --create-home client
COPY --from=build /opt/client /opt/client
ENV PATH=/opt/client/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/client
# Python handles SIGTERM itself: the run is finalised.
ENTRYPOINT ["ovms-stream-client"]
CMD ["--help"]
