FROM debian:12
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update \
    # the mirror is slow
    && apt-get install -y app
ENV PORT=8080
ENTRYPOINT ["/bartizan/defender", "app-embedded", "/bin/bash", "-o", "pipefail", "-c", "exec app --port \"$PORT\"     --name 'my app'"]
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=30s CMD app health

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNqdj0FOxDAMRa8SWUizSdQmTaftXAKE2DVdJLE7RKJp1GbBgLg7QYUVrPDm21/21/M7YLjSnuEC8lzXVg7kO+oVNr2UnnAefKs6
# bartizan:undo iRqVbxy5+qxkq73rlB3Iaoe1VbO2yisHHAhD3uEyjiWLq14X55U8sykxIdK6ZWbg7uH+8ckAM8ZEVkqIaBdip+X2tXeCiY+NbvlQ
# bartizan:undo DxxgmkpEzNstrSEWyBFGA5WzWw5vNlZIM0WkzQAvyeVc0OIIkfBwKhdi2d6fj1Gsh6aQaLbh5dv1h/5CNT+wpWF/oBqY4F8ffnwC
# bartizan:undo ONdt6g==
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
