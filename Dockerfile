# The image of the API and of workers; compose.yaml builds and runs it, docs/compose.md says how.
ARG BASE=python:3.11-slim
FROM ${BASE}
USER 0:0
ENV PATH=/opt/lineage/bin:$PATH PYTHONUNBUFFERED=1 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# Where the network has certificate authorities of its own, authorities.pem beside this file has them.
COPY pyproject.toml authorities*.pem /src/
RUN if [ -f /src/authorities.pem ]; then cat /src/authorities.pem >> "$SSL_CERT_FILE"; fi
# What the project needs changes less often than the project, so it has a layer of its own.
RUN python3 -m venv /opt/lineage \
 && pip install --no-cache-dir --disable-pip-version-check --cert "$SSL_CERT_FILE" uv \
 && uv pip install --python /opt/lineage --no-cache --compile-bytecode --requirement /src/pyproject.toml \
    --extra docker --extra conda --extra s3
COPY . /src
RUN uv pip install --python /opt/lineage --no-cache --compile-bytecode --no-deps /src
USER 10001:10001
CMD ["lineage", "serve"]
