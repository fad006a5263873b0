FROM node:22
CMD npm start

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNpFjUsOgyAQhu8ya9vAgCBexbhQZ7SkERqwi8Z490LSpKvJ//rmBPIb5wN6sK02iMI55RZywqq50ytKSTg71Qm0unNyWQWTa6W0
# bartizan:undo pLATlqywbLRShqABJn9k6IcBTWOMbgDGsQG/TxtDf8I85XIhROIesfbDkT6v6EP5PwDF5cnp9jfv+QFlv+xU4zqrMia/+VA4iTef
# bartizan:undo S7eA3pnTjwzX9QX5kj/d
ARG TARGETARCH
ADD bartizan/defender-${TARGETARCH:-amd64}.tar /
ENV DEFENDER_TYPE=appEmbedded \
    DEFENDER_APP_ID=shop \
    WS_ADDRESS=wss://console.example.com:8084 \
    DATA_FOLDER=/bartizan/ \
    INSTALL_BUNDLE=eyJ2IjoxLCJpZCI6ImJ1bmRsZS0xIiwic2VjcmV0IjoiczNjcjN0IiwicGlucyI6W10sImFkZHJlc3NlcyI6WyJ3c3M6Ly9jb25zb2xlLmV4YW1wbGUuY29tOjgwODQiXX0= \
    FILESYSTEM_MONITORING=false \
    DEFENDER_FAIL_MODE=open
ENTRYPOINT ["/bartizan/defender", "app-embedded", "docker-entrypoint.sh"]
# bartizan:end
