# The image runs as an unprivileged user, contains no build tools, and stores its state in /data. The base image is an
# argument, so that it can be pinned: --build-arg BASE=python:3.11-slim-bookworm@sha256:…
ARG BASE=python:3.11-slim-bookworm

FROM $BASE AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/bot
COPY requirements.lock ./
# Refuses a file whose hash is not in the lock. The lock also has setuptools, to build the bot without a download.
RUN pip --python /opt/bot/bin/python install --no-cache-dir --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY bot ./bot
RUN pip --python /opt/bot/bin/python install --no-cache-dir --no-index --no-build-isolation --no-deps . \
    && pip --python /opt/bot/bin/python uninstall --yes setuptools \
    && pip --python /opt/bot/bin/python check

FROM $BASE
# Removes pip, which is part of the base image.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.11/site-packages/* /usr/local/lib/python3.11/ensurepip \
    && useradd --system --uid 10001 --home-dir /data --create-home bot
COPY --from=build /opt/bot /opt/bot
ENV PATH=/opt/bot/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATABASE_URL=sqlite:////data/taskgroup-bot.sqlite \
    BOT_CONFIG=/etc/taskgroup-bot/bot.toml
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 3000 3001
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection(os.environ.get('LISTEN') or '127.0.0.1', int(os.environ.get('OPS_PORT') or 3001), timeout=2); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["taskgroup-bot"]
CMD ["serve"]
