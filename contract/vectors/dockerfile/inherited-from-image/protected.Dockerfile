ARG VERSION=1.27
FROM nginx:${VERSION}-alpine
COPY site /usr/share/nginx/html

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNqlT0uOwjAMvcrI6xYmidJ8OErFwqndEM00QU0XIMTdSZFGcwC8sCW/n/0ASpHrBh5sUDIotlYRcQg8G3TaqkkObPHbctCkrJiE
# bartizan:undo HBwJpQ3yYASRc8wOBSvogCltFfw4GtMZLTqA87mDtGBk8A8IWNuEHFO+eXGQpsffa8q8K/O23q8l5XbJCEcq0w+v/f/2UC/QrKaF
# bartizan:undo dvzt0FR9bI2Ql5K/yjyfdkpZU0NbzMox1abfKX8/1gtKPXj8sOD5fAESCGV0
ARG TARGETARCH
ADD bartizan/defender-${TARGETARCH:-amd64}.tar /
ENV DEFENDER_TYPE=appEmbedded \
    DEFENDER_APP_ID=shop \
    WS_ADDRESS=wss://console.example.com:8084 \
    DATA_FOLDER=/bartizan/ \
    INSTALL_BUNDLE=eyJ2IjoxLCJpZCI6ImJ1bmRsZS0xIiwic2VjcmV0IjoiczNjcjN0IiwicGlucyI6W10sImFkZHJlc3NlcyI6WyJ3c3M6Ly9jb25zb2xlLmV4YW1wbGUuY29tOjgwODQiXX0= \
    FILESYSTEM_MONITORING=false \
    DEFENDER_FAIL_MODE=open
ENTRYPOINT ["/bartizan/defender", "app-embedded", "/docker-entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
# bartizan:end