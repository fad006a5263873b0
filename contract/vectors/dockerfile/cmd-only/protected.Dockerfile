FROM python:3.12-slim
WORKDIR /app
COPY . .
CMD ["gunicorn", "--bind", ":8000", "app:app"]

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNqljjsOwyAQRO+yNYlggbXgKpYLfsZIsR0ZGsvy3UMR5QKZZop5T5oLYsmpNrAwDB6dCOh4lH6mQOijQPRB6xmNxxCdciah4CZJ
# bartizan:undo qRwNpIRB7YnIJDLAIMXSKthxNJwNXDGAaWJQVpcT2Au8q73hfbZl36x8CnzUV1m7GNbYte8ioUv7UXLZOn2kXGo7zk79rtbFoSbr
# bartizan:undo /wzc9wc3l1F6
ARG TARGETARCH
ADD bartizan/defender-${TARGETARCH:-amd64}.tar /
ENV DEFENDER_TYPE=appEmbedded \
    DEFENDER_APP_ID=shop \
    WS_ADDRESS=wss://console.example.com:8084 \
    DATA_FOLDER=/bartizan/ \
    INSTALL_BUNDLE=eyJ2IjoxLCJpZCI6ImJ1bmRsZS0xIiwic2VjcmV0IjoiczNjcjN0IiwicGlucyI6W10sImFkZHJlc3NlcyI6WyJ3c3M6Ly9jb25zb2xlLmV4YW1wbGUuY29tOjgwODQiXX0= \
    FILESYSTEM_MONITORING=false \
    DEFENDER_FAIL_MODE=open
ENTRYPOINT ["/bartizan/defender", "app-embedded"]
# bartizan:end
