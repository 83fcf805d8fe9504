# Roster for production: one process behind a proxy that ends TLS.
#
#   docker build --tag roster .
#   docker run --publish 5000:5000 --volume roster:/data \
#       --env ROSTER_SECRET_KEY=... --env ROSTER_ISSUER=https://... --env ROSTER_TRUSTED_PROXIES=1 roster

FROM python:3.13-slim AS build
WORKDIR /source
RUN python -m venv /opt/roster
ENV PATH=/opt/roster/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

COPY . .
RUN pip install --constraint constraints.txt .

FROM python:3.13-slim
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin roster \
    && install --directory --owner=roster --group=roster /data
COPY --from=build /opt/roster /opt/roster
ENV PATH=/opt/roster/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=5000 \
    ROSTER_ENV=production

# Where the SQLite file of the default DATABASE_URL lies.
WORKDIR /data
VOLUME /data
USER roster
EXPOSE 5000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["roster", "serve"]
