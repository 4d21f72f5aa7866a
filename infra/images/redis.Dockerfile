# Redis from Debian, for where redis:7 cannot be pulled.
#   docker build -f infra/images/redis.Dockerfile -t aquifer-redis infra/images
ARG BASE=debian:12-slim
FROM ${BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server >/dev/null && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /data && chown redis:redis /data
USER redis:redis
WORKDIR /data
VOLUME /data
EXPOSE 6379
CMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"]
