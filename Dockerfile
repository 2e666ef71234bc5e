# One image for all services and the operator's commands; compose.yaml says which runs.
# The Python and the versions are those that the tests run with.
ARG PYTHON=python:3.11.16-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
COPY constraints.txt ./
RUN python -m pip install --no-cache-dir --constraint constraints.txt hatchling
COPY pyproject.toml README.md LICENSE ./
COPY pawmesh pawmesh
COPY collar_sim collar_sim
COPY gateway gateway
COPY cloud cloud
COPY plugins plugins
COPY dashboard dashboard
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .
# the trainer's image has training too, and a gigabyte and a half of TensorFlow with it
ARG EXTRAS=cloud,gateway,dashboard
RUN python -m venv /opt/pawmesh \
    && /opt/pawmesh/bin/python -m pip install --no-cache-dir --constraint constraints.txt "$(ls /wheels/*.whl)[${EXTRAS}]" \
    && /opt/pawmesh/bin/python -m pip uninstall --yes pip setuptools

FROM ${PYTHON}
RUN groupadd --gid 10001 pawmesh \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin pawmesh \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/pawmesh
COPY --from=build /opt/pawmesh /opt/pawmesh
# HOME: the root file system is read-only, and libraries look for a folder of their own
ENV PATH=/opt/pawmesh/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/pawmesh
USER 10001:10001
STOPSIGNAL SIGINT
CMD ["python", "-P", "-m", "pawmesh.deployment", "--help"]
