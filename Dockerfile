# The image of the bot: no build tools, no root, state under /data. What builds it is pinned as what runs in it.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/bot
COPY requirements.lock ./
RUN pip install --no-cache-dir --constraint requirements.lock setuptools
COPY pyproject.toml README.md LICENSE ./
COPY bot ./bot
# Test and sandbox tools are left out. Without isolation, or the newest setuptools would be fetched.
RUN pip wheel --no-cache-dir --no-build-isolation --no-deps --wheel-dir /wheel . \
    && pip --python /opt/bot/bin/python install --no-cache-dir --constraint requirements.lock /wheel/*.whl

FROM python:3.11-slim-bookworm
# The image that it begins with brings pip.
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
# Past the proxies of the environment: none of them leads to this container.
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f\"http://127.0.0.1:{os.environ.get('OPS_PORT', '3001')}/livez\", timeout=2)"]
ENTRYPOINT ["taskgroup-bot"]
CMD ["serve"]
