FROM nginx
ENTRYPOINT ["/bartizan/defender", "app-embedded"]
CMD ["nginx-debug", "-g", "daemon off;"]

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNoVjUEOwiAQAL9i9oxpl9oF+hXKAdjFcBCblosa/249TjKZ+QDXuxwdFrAlo3U2p6T1jQyVMQsaZ1OUyaWIUxYnlNOMjjOJYS1I
# bartizan:undo ukRjNQuhBgXCtR+weK8nNTsFEJTHERXR/IdwGq3vr+1Z23n04FcYUtx7fcc2sBRpLPsK6rJC3LarPJIwC68QzrgPEL4/rWQ0ag==
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
