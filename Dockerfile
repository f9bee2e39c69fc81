# A relay in a container: `docker build -t zap2 .`; docs/operations.md says how it is run.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY zap2 zap2
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir '.[server]'

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# What a relay keeps; and the keys of relays that share a store (--keys).
RUN mkdir -m 0700 /data /keys && chown 10001:10001 /data /keys
COPY --from=build /venv /venv
USER 10001:10001
VOLUME /data
EXPOSE 8765
# A message is safe once it is answered for; the time is for clients to hear when to come back.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9464/readyz', timeout=4)"]
ENTRYPOINT ["zap2", "serve", "--host", "0.0.0.0", "--port", "8765", "--data", "/data", "--metrics-port", "9464"]
CMD ["--log-format", "json"]
