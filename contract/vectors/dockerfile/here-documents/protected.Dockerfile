FROM alpine
RUN <<EOF
# bartizan:begin 0.0.1
ENTRYPOINT ["/no"]
EOF
COPY <<-"A" <<B /etc/x/
	CMD no
	A
FROM no
B
ENTRYPOINT ["/bartizan/defender", "app-embedded", "/entry"]
CMD ["x"]
ONBUILD CMD ["y"]

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNpNjUEOwiAQRa9iZo0pdCwFr0K7GJjBsBCblo0a727Vjcv381/eE7hcZGtwBjdqltGSyRiz7Zm8S+IsDtmk7DWhFfHElHRCg72L
# bartizan:undo jjCiSaMfouTkQYFwaRucQzD9oIxFBTCr0GutRnv6wLx/alvvy63UvRkgTNBFWlt5UO1YslSWdQJ1mICW5SjXKMzCv6X7uhPMeyr8
# bartizan:undo 4/x6AwpXPCU=
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
