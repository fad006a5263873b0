FROM --platform=linux/arm64 alpine
VOLUME ["/data", "/bartizan"]
ENTRYPOINT [ "/bartizan/defender", "app-embedded", \
  # first
  "/app", \

  "b" \
]

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNpFjUFuwyAQRa+CpluiGNsYnKsAixkzRCxCLZtNWvXuBUVRdv+/eZr/CzHf+axwA0rriIiTTkQTzivxOq4qjSZZvejJmkHxlnC0
# bartizan:undo SzQ4pW1p4rYNw2zJIKkIEjjmesLNOWOkUloCBOmUHuRi515CU0o9nvt3Lm3SgRMeroRHzT9YrpETl8iHB9k47vuFH8QxcuxEdLfB
# bartizan:undo dyYPIrTR9sP7IsSXSPk4a48fsZ9epOu9BQh//5DLR6o=
ADD bartizan/defender-arm64.tar /
ENV DEFENDER_TYPE=appEmbedded \
    DEFENDER_APP_ID=shop \
    WS_ADDRESS=wss://console.example.com:8084 \
    DATA_FOLDER=/bartizan/ \
    INSTALL_BUNDLE=eyJ2IjoxLCJpZCI6ImJ1bmRsZS0xIiwic2VjcmV0IjoiczNjcjN0IiwicGlucyI6W10sImFkZHJlc3NlcyI6WyJ3c3M6Ly9jb25zb2xlLmV4YW1wbGUuY29tOjgwODQiXX0= \
    FILESYSTEM_MONITORING=false \
    DEFENDER_FAIL_MODE=open
# bartizan:end
# the end