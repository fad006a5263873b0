FROM tomcat:9
COPY app.war webapps/
ENTRYPOINT ["/bartizan/defender", "app-embedded", "catalina.sh", "run"]

# bartizan:begin 0.1.0
# Starts the program under Bartizan's Defender. `bartizan app-embedded unprotect` takes all of it out again.
# bartizan:undo eNqdkd9vgjAQx/+VpntFRBFEkz2wURcWRCNsiwHSFHsqmRYCXba57H9f/YEPS/ayhybtfT/3vbveF+bFBhqJx3iUj7jdW1uWwdZ8
# bartizan:undo BT3TYY5jGJBbfSe3HD60uW0aJvSBG6bNctsYOYMRcDAsq58zjjUMvJANHifJwNEcW8M405KeMdTsYe/8sIemdjz4BsXvRSN35eoV
# bartizan:undo 3ZdCskJAjTxYg+Dq0kGsqhDsc+AceCpcz0OyTaD8glEF0RbSJav1zQF15b5KBQmfkUcmJPTIgsbLOblNsaJJ64h/Ie58Tn1PQc22
# bartizan:undo rFp14gckWkYxmdLpLPTj2cIPHxQj6zdomZeIquYWJIqU8N4042633HEdPti+2oG+KvfjwcC81nNjl05mgSqp8FOrF8UPo9gNAnr3
# bartizan:undo FHrBsVv4fNyexXixnM/8MEbJOaXbzp9iDZ3G6lx/6hRZMcl2hWB6sz0H6jeR4iwVOMvUkoSsP6uyEGrpCT565qyWxYGJ/xqrzSd/
# bartizan:undo i9n3D66+wZo=
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

