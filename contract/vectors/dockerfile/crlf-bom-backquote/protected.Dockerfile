# escape=`
FROM alpine
RUN a `
    b
ENTRYPOINT ["/bartizan/defender", "app-embedded", "C:\\not\\windows"]

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNp1jTsOwjAQRK+CtjbCvyV2Wo5hp4iza+QCJ0osIUDcnSBqphnNR3ovoHLlrUEPJjnM1hljJ4kJtfdaSyN1Uo6TJeU7aVPnfMbO
# bartizan:undo TuizNUw+ZzWSnBAtggCm0jboQ0ArvBYAgwhKKXF27huG/VHb+ljmUndigBDhlMa1ledYT8SZK/EaQRwijMty5FtiIqZfc+njrjq3
# bartizan:undo r91Lpfm+RRh2bPg/Du8PiA1Eog==
ARG TARGETARCH
ADD bartizan/defender-${TARGETARCH:-amd64}.tar /
ENV DEFENDER_TYPE=appEmbedded `
    DEFENDER_APP_ID=shop `
    WS_ADDRESS=wss://console.example.com:8084 `
    DATA_FOLDER=/bartizan/ `
    INSTALL_BUNDLE=eyJ2IjoxLCJpZCI6ImJ1bmRsZS0xIiwic2VjcmV0IjoiczNjcjN0IiwicGlucyI6W10sImFkZHJlc3NlcyI6WyJ3c3M6Ly9jb25zb2xlLmV4YW1wbGUuY29tOjgwODQiXX0= `
    FILESYSTEM_MONITORING=false `
    DEFENDER_FAIL_MODE=open
# bartizan:end
