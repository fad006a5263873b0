// Ways to start programs, and signals that interrupt them: `ways WHAT`. Prints what happened, in numbers that do not vary.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const quick[] = {"true", NULL};
static char *const status7[] = {"sh", "-c", "exit 7", NULL};
extern char **environ;

static int ended(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static pid_t by_fork(void) {
    pid_t child = fork();
    if (child == 0) _exit((execv("/bin/sh", status7), errno));
    return child;
}

static pid_t by_vfork(void) {
    pid_t child = vfork();
    if (child == 0) _exit((execv("/bin/sh", status7), errno));
    return child;
}

static pid_t by_clone3(uint64_t flags) {
    struct clone_args arguments = {.flags = flags, .exit_signal = SIGCHLD};
    pid_t child = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0) _exit((execv("/bin/sh", status7), errno));
    return child;
}

static void *executing(void *unused) {
    (void)unused;
    execv("/bin/sh", status7);
    _exit(errno);
}

static void *ending_first(void *unused) {
    usleep(20000);
    return executing(unused);
}

static pid_t by_thread(int leader_ends) {
    pid_t child = fork();
    if (child) return child;
    pthread_t thread;
    pthread_create(&thread, NULL, leader_ends ? ending_first : executing, NULL);
    if (leader_ends) pthread_exit(NULL);
    for (;;) pause();
}

static pid_t by_spawn(void) {
    pid_t child;
    return posix_spawnp(&child, "sh", NULL, NULL, status7, environ) ? -1 : child;
}

static pid_t by_descriptor(void) {
    int file = open("/bin/sh", O_RDONLY | O_CLOEXEC);
    pid_t child = fork();
    if (child == 0) _exit((fexecve(file, status7, environ), errno));
    close(file);
    return child;
}

static void *spawning(void *count) {
    for (int turn = 0; turn < 25; turn++) *(int *)count += ended(turn % 2 ? by_spawn() : by_vfork()) == 7;
    return NULL;
}

static void starts(void) {
    printf("fork %d\nvfork %d\nclone3 %d\n", ended(by_fork()), ended(by_vfork()), ended(by_clone3(0)));
    printf("clone3 cleared %d\n", ended(by_clone3(CLONE_CLEAR_SIGHAND)));
    printf("spawn %d\ndescriptor %d\n", ended(by_spawn()), ended(by_descriptor()));
    printf("thread %d\nleader gone %d\n", ended(by_thread(0)), ended(by_thread(1)));
    pthread_t threads[4];
    int counts[4] = {0};
    for (int index = 0; index < 4; index++) pthread_create(&threads[index], NULL, spawning, &counts[index]);
    for (int index = 0; index < 4; index++) pthread_join(threads[index], NULL);
    printf("parallel %d\n", counts[0] + counts[1] + counts[2] + counts[3]);
}

static volatile sig_atomic_t noted;
static void note(int number) { noted += number == SIGALRM; }

static void storm(int flags) {
    struct sigaction action = {.sa_handler = note, .sa_flags = flags};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 500}, {0, 500}};
    setitimer(ITIMER_REAL, &often, NULL);
}

// Connects that fail, by another error than having been interrupted, and all that were interrupted.
static void connects(int wanted, int *failed, int *interrupted) {
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    bind(server, (struct sockaddr *)&address, length);
    listen(server, 100);
    getsockname(server, (struct sockaddr *)&address, &length);
    for (int done = 0; done < wanted; done++) {
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
        while (connect(client, (struct sockaddr *)&address, sizeof address) < 0) {
            if (errno == EINTR) ++*interrupted;
            else if (errno == EISCONN) break;
            else { ++*failed; break; }
        }
        do peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        while (peer < 0 && errno == EINTR);
        close(peer);
        close(client);
    }
}

static void signals(int flags) {
    int failed = 0, interrupted = 0, right = 0;
    storm(flags);
    connects(300, &failed, &interrupted);
    for (int turn = 0; turn < 100; turn++) right += ended(turn % 2 ? by_vfork() : by_spawn()) == 7;
    printf("connects failed %d\nstarted %d\nsignals %d\n", failed, right, noted > 10);
    if (flags & SA_RESTART) printf("interrupted %d\n", interrupted);
}

// An execve whose own process is bombarded: the handler is gone with the old program, so nothing may be lost.
static void bombarded(void) {
    int right = 0;
    for (int turn = 0; turn < 100; turn++) {
        pid_t child = fork();
        if (child == 0) {
            struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
            sigaction(SIGUSR1, &action, NULL);
            execv("/bin/true", quick);
            _exit(errno);
        }
        for (int shot = 0; shot < 3; shot++) kill(child, SIGUSR1);
        int code = ended(child);
        right += code == 0 || code == 128 + SIGUSR1;
    }
    printf("bombarded %d\n", right);
}

// A filter that allows everything, without and with a listener of its own, as sandboxes install them.
static void filters(void) {
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {.len = 1, .filter = &allow};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    printf("filter %ld\n", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter));
    long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
    printf("listener %s\n", listener >= 0 ? "0" : errno == EBUSY ? "EBUSY" : strerror(errno));
}

int main(int count, char **words) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *what = count > 1 ? words[1] : "";
    if (!strcmp(what, "starts")) starts();
    else if (!strcmp(what, "restarting")) signals(SA_RESTART);
    else if (!strcmp(what, "interrupting")) signals(0);
    else if (!strcmp(what, "bombarded")) bombarded();
    else if (!strcmp(what, "filters")) filters();
    else if (!strcmp(what, "true")) execv("/bin/true", quick);
    else return 64;
    return 0;
}
