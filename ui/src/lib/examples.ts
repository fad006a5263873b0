/** A task definition to try things with. */
export const EXAMPLE_TASK = `{
  "family": "shop",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "web",
      "image": "registry.example.com/shop/web:1.4",
      "essential": true,
      "entryPoint": ["/usr/bin/python3"],
      "command": ["-m", "shop.web"],
      "portMappings": [{ "containerPort": 8080 }]
    }
  ]
}
`;

/** A Dockerfile to try things with. */
export const EXAMPLE_DOCKERFILE = `FROM docker.io/library/python:3.13-slim
WORKDIR /app
COPY . .
ENTRYPOINT ["python3", "-m", "shop.web"]
`;
