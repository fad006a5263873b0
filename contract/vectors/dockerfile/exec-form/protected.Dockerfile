# syntax=docker/dockerfile:1
FROM golang:1.22 AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/root/.cache go build -o /app .

FROM gcr.io/distroless/static:nonroot
COPY --from=build /app /app
USER nonroot:nonroot
EXPOSE 8080
ENTRYPOINT ["/bartizan/defender", "app-embedded", "/app", "--listen", ":8080"]

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNqNjk0OgjAQha9iZl1CfygduEph0XYG00QrgW7UeHcxXMDd+16+5L03UL7yXmEE2SNHGQMFxE5LtrEnZUJSkY1LBomcdIY1G0p2
# bartizan:undo 0KiTGVhaZ5dkutQvIIAp1x1G77VVQuMgAGbhjXICUf1gPpxSt+f6yOXY9OAnaGPYan6F0hIvXIi3CcRlgrCuDd8jEzGdTXtUZ2qa
# bartizan:undo W94rl5NGlCgnmI8H/g9r/nwBSVZGvQ==
ARG TARGETARCH
ADD bartizan/defender-${TARGETARCH:-amd64}.tar /
ENV DEFENDER_TYPE=appEmbedded \
    DEFENDER_APP_ID=shop \
    WS_ADDRESS=wss://console.example.com:8084 \
    DATA_FOLDER=/bartizan/ \
    INSTALL_BUNDLE=eyJ2IjoxLCJpZCI6ImJ1bmRsZS0xIiwic2VjcmV0IjoiczNjcjN0IiwicGlucyI6W10sImFkZHJlc3NlcyI6WyJ3c3M6Ly9jb25zb2xlLmV4YW1wbGUuY29tOjgwODQiXX0= \
    FILESYSTEM_MONITORING=false \
    DEFENDER_FAIL_MODE=open
# bartizan:end
