/* Looks names up with the C library that it is built with: `resolving NAME...`. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int main(int count, char **names) {
    for (int index = 1; index < count; index++) {
        struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
        time_t begin = time(NULL);
        int error = getaddrinfo(names[index], "80", &wanted, &found);
        char text[64] = "none";
        if (!error && found->ai_family == AF_INET)
            inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, text, sizeof text);
        printf("%s %s%s\n", names[index], error == EAI_NONAME ? "no such name" : error ? "failed" : text,
               time(NULL) - begin > 1 ? " slowly" : "");
    }
    return 0;
}
