# For tests alone, where qdrant/qdrant cannot be pulled: the stand-in over the local mode of qdrant-client. It holds no promise
# of durability or speed.
#   docker build -f infra/images/qdrant-shim.Dockerfile -t aquifer-qdrant-shim infra/native/qdrant-shim
ARG BASE=debian:12-slim
FROM ${BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-pip >/dev/null && rm -rf /var/lib/apt/lists/*
COPY requirements.txt /opt/shim/
RUN python3 -m pip install --quiet --no-cache-dir --require-hashes --only-binary=:all: --target /opt/shim/packages -r /opt/shim/requirements.txt
COPY shim.py /opt/shim/
RUN mkdir -p /qdrant/storage && chown 1000:1000 /qdrant/storage
USER 1000:1000
ENV PYTHONPATH=/opt/shim/packages
VOLUME /qdrant/storage
EXPOSE 6333
# It ends with its standard input.
CMD ["sh", "-c", "tail -f /dev/null | exec python3 -P /opt/shim/shim.py 6333 /qdrant/storage 0.0.0.0"]
STOPSIGNAL SIGKILL
