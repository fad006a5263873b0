// Something to attach to: counts in a variable until a line comes in on its standard input.
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

volatile int landmark = 4711;
volatile long turns;

int main(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    puts("ready");
    fflush(stdout);
    while (poll(&input, 1, 1) == 0) {
        turns++;
        getppid();
    }
    puts("went on");
    return 21;
}
