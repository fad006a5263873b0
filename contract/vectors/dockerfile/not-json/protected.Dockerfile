FROM scratch
ENTRYPOINT ["/bartizan/defender", "app-embedded", "/bin/sh", "-c", "['/app', '--x']"]

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNpdjrsOwyAMRX+l8pKFiEAKhPwKYcDBtAylUZKhD/Xfi5SpnSxb5/rcN8R8oW2HEXQSAi0qMaNOylhhO0ydQJx7E/tO624QCpUJ
# bartizan:undo mhJR0EOFZH9GiTYYlQwwoJj3DUbnpGJaSwYND8vSsFPTto/Gg/eVKfv6XO65VKcDNwHHsO75FQqP9XGJtE7AThPUZEs3pBgpHheO
# bartizan:undo ufDteiztfEz365jA1yLuX/z5ArYWQrk=
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
