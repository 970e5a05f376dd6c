# Build: docker build -t palombe .   Run: docker run -v /etc/palombe:/etc/palombe:ro -v palombe:/var/lib/palombe palombe
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends clang libclang-dev cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --ignore-rust-version -p palombe -p palombe-directory-sync

FROM debian:bookworm-slim
RUN useradd --system --home /var/lib/palombe --create-home palombe
COPY --from=build /src/target/release/palombe /src/target/release/palombe-directory-sync /usr/local/bin/
USER palombe
VOLUME /var/lib/palombe
EXPOSE 25 587 143 993
ENTRYPOINT ["palombe"]
CMD ["run", "--config", "/etc/palombe/palombe.toml"]
