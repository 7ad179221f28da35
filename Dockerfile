# syntax=docker/dockerfile:1
# Skein in a container: build stage with the same make targets as everywhere, slim run stage.
#   docker build -t skein .                  CPU only
#   docker build -t skein --build-arg GPU=1 .   with CUDA 13 (run with --gpus all)
# The token is what browsers log in with; keep it.
#   export SKEIN_TOKEN=$(openssl rand -hex 24); echo $SKEIN_TOKEN
#   docker run -e SKEIN_TOKEN -p 7878:7878 -v skein-data:/data skein
# A folder in place of the volume (-v /srv/skein:/data) must belong to the image's user: chown 10001 /srv/skein
# `docker stop` asks for checkpoints, which are there within its ten seconds or are at most one interval old.

FROM node:20-bookworm-slim AS node

FROM rust:1.95-bookworm AS build
ARG GPU=0
RUN apt-get update \
    && apt-get install -y --no-install-recommends make g++ python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
# The binaries remember this path as the place of libtorch.
WORKDIR /opt/skein
COPY . .
RUN SKEIN_SETUP_GPU=$GPU make build data \
    && mkdir bin && cp target/release/skein target/release/skein-worker bin/ \
    && rm -rf target .deps/libtorch/include .deps/python/torch/include && mkdir -p .deps/python

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libgcc-s1 libstdc++6 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --uid 10001 skein \
    && install -d -o skein -g skein /data
COPY --from=build /opt/skein/bin /opt/skein/bin
COPY --from=build /opt/skein/.deps/libtorch /opt/skein/.deps/libtorch
COPY --from=build /opt/skein/.deps/python /opt/skein/.deps/python
COPY --from=build /opt/skein/.deps/datasets /opt/skein/.deps/datasets
ENV PATH=/opt/skein/bin:$PATH SKEIN_DATA=/data SKEIN_LISTEN=0.0.0.0:7878 \
    SKEIN_DATASETS=/opt/skein/.deps/datasets NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER skein
VOLUME /data
EXPOSE 7878
STOPSIGNAL SIGTERM
# It asks where SKEIN_LISTEN says.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["skein", "runs", "ls", "--limit", "1"]
# tini reaps workers that outlive a restarted server.
ENTRYPOINT ["tini", "--", "skein", "serve"]
