FROM scratch AS web
COPY web /web
USER 1000:1000
ENTRYPOINT ["/bartizan/defender", "app-embedded", "/web"]

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNpFj8EOgyAQRH+l2TONILiCvwIe0F0Nh1qDJE3b9N+L6aHHN5nMy7yB0spHgQEW2UtFzqi4dF3rpDH9rGepMGrWHSuLpo+GomXn
# bartizan:undo bOsYEc+CddixbpUBAUypHDB4j0o4JwBG4ZVEgUaeMNbGVvJzv6etGj34AM0Uc0mvuDXEC2/EOYC4BIj7fuXbxERMv6R58BRgrBr/
# bartizan:undo hzpZYl75PFAj+HwB2LY8Yg==
ADD bartizan/defender-arm64.tar /
ENV DEFENDER_TYPE=appEmbedded \
    DEFENDER_APP_ID=shop \
    WS_ADDRESS=wss://console.example.com:8084 \
    DATA_FOLDER=/bartizan/ \
    INSTALL_BUNDLE=eyJ2IjoxLCJpZCI6ImJ1bmRsZS0xIiwic2VjcmV0IjoiczNjcjN0IiwicGlucyI6W10sImFkZHJlc3NlcyI6WyJ3c3M6Ly9jb25zb2xlLmV4YW1wbGUuY29tOjgwODQiXX0= \
    FILESYSTEM_MONITORING=false \
    DEFENDER_FAIL_MODE=open
# bartizan:end

# the worker is another image
FROM web AS worker
ENTRYPOINT ["/worker"]
