# The exporter alone: a static binary, the public certificate authorities, and nothing else (no shell, no package manager).
# Needs no BuildKit. Builds for the machine's own architecture; `docker buildx build --platform linux/amd64,linux/arm64` for both.

FROM rust:1.95.0-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# Static, with glibc: the target is named so that build scripts and macros, which run here, stay dynamic.
ENV RUSTFLAGS="-C target-feature=+crt-static" \
    CARGO_TERM_COLOR=never
WORKDIR /build
RUN rustc -vV | sed -n 's/^host: //p' > /target-triple

# The dependencies, in a layer that lasts until one of the two files changes. Tests and benchmarks are not here, so the manifest drops them.
COPY Cargo.toml Cargo.lock ./
RUN sed -i '/^\[\[\(test\|bench\)\]\]$/,/^$/d' Cargo.toml \
    && mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --locked --release --bin akamai-exporter --target "$(cat /target-triple)"

COPY src src
COPY grafana/dashboards grafana/dashboards
ARG AKAMAI_EXPORTER_REVISION=unknown
# The empty crate above is newer than the copied files, so they are touched; whatever is dynamic after all fails here.
RUN find src -name '*.rs' -exec touch {} + \
    && AKAMAI_EXPORTER_REVISION="$AKAMAI_EXPORTER_REVISION" \
       cargo build --locked --release --bin akamai-exporter --target "$(cat /target-triple)" \
    && mkdir -p /image/etc/ssl/certs /image/etc/akamai-exporter \
    && install -d -m 1777 /image/var/lib/akamai-exporter \
    && cp "target/$(cat /target-triple)/release/akamai-exporter" /image/akamai-exporter \
    && { ldd /image/akamai-exporter 2>&1 || true; } | grep -qE 'statically linked|not a dynamic executable' \
    && cp -L /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && echo 'hosts: files dns' > /image/etc/nsswitch.conf

FROM scratch

ARG AKAMAI_EXPORTER_VERSION=0.1.0
ARG AKAMAI_EXPORTER_REVISION=unknown
LABEL org.opencontainers.image.title="akamai-exporter" \
      org.opencontainers.image.description="Prometheus exporter for Akamai, with an embedded simulator" \
      org.opencontainers.image.url="https://github.com/akamai-exporter/akamai-exporter" \
      org.opencontainers.image.source="https://github.com/akamai-exporter/akamai-exporter" \
      org.opencontainers.image.documentation="https://github.com/akamai-exporter/akamai-exporter/blob/main/docs/deployment.md" \
      org.opencontainers.image.vendor="akamai-exporter" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$AKAMAI_EXPORTER_VERSION" \
      org.opencontainers.image.revision="$AKAMAI_EXPORTER_REVISION"

COPY --from=build /image/ /
COPY LICENSE /LICENSE

# /var/lib/akamai-exporter is for state_directory, whoever the container's user is: mount a volume there, or it ends with the container.
# So that `edgerclocation = ~/.edgerc` is the file mounted beside exporter.ini.
ENV HOME=/etc/akamai-exporter
USER 65532:65532
EXPOSE 9877
HEALTHCHECK --interval=15s --timeout=6s --start-period=10s --retries=3 CMD ["/akamai-exporter", "healthcheck"]
ENTRYPOINT ["/akamai-exporter"]
CMD ["--config.file=/etc/akamai-exporter/exporter.ini"]
