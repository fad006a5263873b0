FROM alpine:3 AS base
ENTRYPOINT ["/sbin/tini", "--"]
CMD ["/app", "serve"]

FROM base AS debug
RUN apk add gdb

# what is shipped
FROM base
USER 1000

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNoNyzESgzAMBMC/qHahk81h+ApDAZbEUEOXyd+T7fcjfl/xvLIK0zmTE3vLkaMBtLo4hgUtz3oAkemmGhmHchg6mvq/1H5WSJHw
# bartizan:undo +31k3TZMWrqyiOz79weZDRuG
ARG TARGETARCH
ADD bartizan/defender-${TARGETARCH:-amd64}.tar /
ENV DEFENDER_TYPE=appEmbedded \
    DEFENDER_APP_ID=shop \
    WS_ADDRESS=wss://console.example.com:8084 \
    DATA_FOLDER=/bartizan/ \
    INSTALL_BUNDLE=eyJ2IjoxLCJpZCI6ImJ1bmRsZS0xIiwic2VjcmV0IjoiczNjcjN0IiwicGlucyI6W10sImFkZHJlc3NlcyI6WyJ3c3M6Ly9jb25zb2xlLmV4YW1wbGUuY29tOjgwODQiXX0= \
    FILESYSTEM_MONITORING=false \
    DEFENDER_FAIL_MODE=open
ENTRYPOINT ["/bartizan/defender", "app-embedded", "/sbin/tini", "--"]
CMD ["/app", "serve"]
# bartizan:end
