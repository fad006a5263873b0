FROM base

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNoljcFugzAQRH8F7ZkWGdsUuKbXqrlWCFW79ppYIg6yIWoV5d9r6Gk0o3kzD7B+4rRCDyQUW9QaWyZi8yaMcrWgWjulpSJute0a
# bartizan:undo Mo3p2q5uSUktyNWoOikNOodQAlu/JuiHoSsbKUqAcSzBX3Fi6B9AmHj/2SV3wxp/l5sP+XuAKm4Bctlc7W4tO9zmdU9u0U8+ZC7y
# bartizan:undo 5FNmMrsljjnBZckmXXiejw3yocJ0ydmLOdDwTZufj8XT5/mreC2qf+b08V7wD5siD90ZxufzD355UPk=
ARG TARGETARCH
ADD bartizan/defender-${TARGETARCH:-amd64}.tar /
ENV DEFENDER_TYPE=appEmbedded \
    DEFENDER_APP_ID=shop \
    WS_ADDRESS=wss://console.example.com:8084 \
    DATA_FOLDER=/bartizan/ \
    INSTALL_BUNDLE=eyJ2IjoxLCJpZCI6ImJ1bmRsZS0xIiwic2VjcmV0IjoiczNjcjN0IiwicGlucyI6W10sImFkZHJlc3NlcyI6WyJ3c3M6Ly9jb25zb2xlLmV4YW1wbGUuY29tOjgwODQiXX0= \
    FILESYSTEM_MONITORING=false \
    DEFENDER_FAIL_MODE=open
ENTRYPOINT ["/bartizan/defender", "app-embedded", "/run"]
# bartizan:end
