# The local graph server with its models inside. Build it from the repository's root:
#   docker build -f docker/graph-server.Dockerfile -t ovms-graph-server .
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
RUN python -m venv /opt/server && /opt/server/bin/pip install --no-cache-dir ".[embedded]"
# A whole OVMS model repository: a fresh volume mounted on /models begins with it.
RUN /opt/server/bin/python -m graph_server assets --models_dir /models

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --create-home server
COPY --from=build /opt/server /opt/server
COPY --from=build --chown=10001:10001 /models /models
# What OVMS needs beside the models: deploy/kubernetes/ovms.
COPY graphs /graphs
COPY server_config/config.json /config.json
ENV PATH=/opt/server/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/server
VOLUME /models
EXPOSE 9000 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
ENTRYPOINT ["python", "-m", "graph_server"]
CMD ["--models_dir", "/models", "--grpc_bind_address", "0.0.0.0", "--port", "9000", "--rest_port", "8000", "--metrics_enable"]
