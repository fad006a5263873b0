FROM scratch
COPY app /
CMD ["/app"]

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNoFwUESgCAIAMC/cPaAIiR9pemgIE1nuzX9vd0X/L7memCHsJFNOAzH5jU0B0nhgR6Zq1oJ5t6IWg9CNydHlRhVJ7L2NgkSTL+f
# bartizan:undo BftxkCTZKAGc5/cDrzEcLA==
ARG TARGETARCH
ADD bartizan/defender-${TARGETARCH:-amd64}.tar /
ENV DEFENDER_TYPE=appEmbedded \
    DEFENDER_APP_ID="shop \"web\" \$1" \
    WS_ADDRESS=wss://console.example.com:8084 \
    DATA_FOLDER=/opt/bartizan/ \
    INSTALL_BUNDLE=eyJ2IjoxLCJpZCI6ImJ1bmRsZS0xIiwic2VjcmV0IjoiczNjcjN0IiwicGlucyI6W10sImFkZHJlc3NlcyI6WyJ3c3M6Ly9jb25zb2xlLmV4YW1wbGUuY29tOjgwODQiXX0= \
    FILESYSTEM_MONITORING=true \
    DEFENDER_FAIL_MODE=closed
ENTRYPOINT ["/opt/bartizan/defender", "app-embedded"]
# bartizan:end
