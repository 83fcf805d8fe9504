# Roster for production, behind a proxy that ends TLS. compose.yaml has the parts around it.
#
#   docker build --tag roster .
#   docker run --publish 5000:5000 --read-only --tmpfs /tmp --volume roster:/data \
#       --env ROSTER_SECRET_KEY=... --env ROSTER_ISSUER=https://... --env ROSTER_TRUSTED_PROXIES=1 roster

FROM python:3.13-slim-bookworm AS build
WORKDIR /source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# Each package is checked by its hash, and is a wheel: nothing is compiled, and nothing of a package
# runs while it is installed.
COPY ops/image/build.txt ops/image/requirements.txt ops/image/
RUN python -m venv --without-pip /opt/roster \
    && python -m pip install --require-hashes --only-binary :all: --requirement ops/image/build.txt \
    && python -m pip --python /opt/roster/bin/python install --require-hashes --only-binary :all: \
        --requirement ops/image/requirements.txt

COPY . .
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && python -m pip --python /opt/roster/bin/python install --no-deps dist/*.whl \
    && /opt/roster/bin/python -m compileall -q /opt/roster

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="Roster" \
    org.opencontainers.image.description="Users and teams behind a REST API, with its own OAuth 2.0 server." \
    org.opencontainers.image.licenses="MIT"

RUN python -m pip uninstall --yes pip \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin roster \
    && install --directory --owner=roster --group=roster /data
COPY --from=build /opt/roster /opt/roster
ENV PATH=/opt/roster/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=5000 \
    ROSTER_ENV=production

# Where the SQLite file of the default DATABASE_URL lies. Besides this folder, the server writes to
# /tmp alone, and only with several workers: the figures that they add up.
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["roster", "serve"]
