/* The fault bench's wrong clock, for the agent alone (ADR 0066):
 *
 *     cc -shared -fPIC -O2 -o bench-clock.so tools/bench_clock.c
 *     LD_PRELOAD=./bench-clock.so STORY_BENCH_CLOCK=FILE story-agent run …
 *
 * `story-agent bench-helper` writes FILE, two numbers of 8 bytes of this machine's byte order: by how many milliseconds
 * the time of day is wrong, and until when, in milliseconds of CLOCK_MONOTONIC; so that it ends by itself. Only
 * programs whose command line names the agent read it, and only what asks for the time of day is told wrong: a child
 * that waits until a time of day, as players do, would wait for years.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *told;
static int (*true_gettime)(clockid_t, struct timespec *);

static int is_agent(void) {
    char line[4096];
    int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? 0 : read(file, line, sizeof line - 1);
    if (file >= 0) close(file);
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(line + at) + 1) {
        line[size] = 0;
        const char *name = strrchr(line + at, '/');
        name = name ? name + 1 : line + at;
        if (!strcmp(name, "story-agent") || !strcmp(name, "agent.cli")) return 1;
    }
    return 0;
}

__attribute__((constructor)) static void begin(void) {
    true_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *name = getenv("STORY_BENCH_CLOCK");
    if (!name || !is_agent()) return;
    int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    if (lseek(file, 0, SEEK_END) >= 16) {
        void *found = mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
        if (found != MAP_FAILED) told = found;
    }
    close(file);
}

static int64_t wrong_ms(void) {
    if (!told || !told[0]) return 0;
    struct timespec now;
    true_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000 < told[1] ? told[0] : 0;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    if (!true_gettime) begin();
    int failed = true_gettime(clock, at);
    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
    int64_t ms = wrong_ms();
    if (!ms) return 0;
    int64_t nanoseconds = at->tv_nsec + ms % 1000 * 1000000;
    int64_t seconds = at->tv_sec + ms / 1000;
    if (nanoseconds < 0) nanoseconds += 1000000000, seconds--;
    if (nanoseconds >= 1000000000) nanoseconds -= 1000000000, seconds++;
    if (seconds < 0) seconds = nanoseconds = 0; /* no clock of a machine is before 1970 */
    at->tv_sec = seconds;
    at->tv_nsec = nanoseconds;
    return 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
