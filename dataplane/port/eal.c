/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL's start, and its voice. EAL is a singleton of the process, and so is what is kept here:
 * the last error line. Its log goes to a stream of ours; what bypasses that (usage text on
 * stdout, "EAL: FATAL" on stderr) is caught by pointing both descriptors at a memory file while
 * EAL starts.
 */
#include "dataplane/port/quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#define PAGE_BYTES (2u << 20)
#define POOL_BYTES (26u << 20) /* 8191 mbufs, and what a mempool keeps a core */
#define BASE_BYTES (24u << 20) /* ethdev, rings, EAL itself */
#define EAL_ARGS   16
#define LINE_BYTES 256
/* Another node's EAL takes well under a second; after five we go on without the lock. */
#define LOCK_TRIES   500
#define LOCK_WAIT_US 10000

static struct {
    pthread_mutex_t lock;
    char line[LINE_BYTES]; /* last one of level error or worse */
    bool hugepages;
} said = {.lock = PTHREAD_MUTEX_INITIALIZER};

void port_said_set(const char *text, size_t len)
{
    while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
        len--;
    if (len == 0)
        return;
    if (len >= LINE_BYTES)
        len = LINE_BYTES - 1;
    pthread_mutex_lock(&said.lock);
    memcpy(said.line, text, len);
    said.line[len] = 0;
    for (size_t i = 0; i < len; i++)
        if (said.line[i] == '\n')
            said.line[i] = ' ';
    pthread_mutex_unlock(&said.lock);
}

void port_said_clear(void)
{
    pthread_mutex_lock(&said.lock);
    said.line[0] = 0;
    pthread_mutex_unlock(&said.lock);
}

void port_eal_said(char *out, size_t len)
{
    pthread_mutex_lock(&said.lock);
    snprintf(out, len, "%s", said.line);
    pthread_mutex_unlock(&said.lock);
}

static ssize_t log_write(void *cookie, const char *text, size_t len)
{
    (void)cookie;
    int level = rte_log_cur_msg_loglevel();
    if (level > 0 && level <= (int)RTE_LOG_ERR)
        port_said_set(text, len);
    return (ssize_t)len;
}

static bool log_capture(void)
{
    cookie_io_functions_t io = {.write = log_write};
    FILE *f = fopencookie(NULL, "w", io);
    if (!f)
        return false;
    setvbuf(f, NULL, _IOLBF, 1024);
    rte_openlog_stream(f);
    return true;
}

static size_t read_number(const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    unsigned long v = 0;
    if (fscanf(f, "%lu", &v) != 1)
        v = 0;
    fclose(f);
    return v;
}

size_t port_hugepages_free(void)
{
    size_t free_pages = read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    size_t reserved = read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages");
    return free_pages > reserved ? (free_pages - reserved) * PAGE_BYTES : 0;
}

/* The kernel's own file of the resource: the same in all network namespaces, and never removed.
 * Anyone may hold it; then a start takes a few seconds longer. */
int port_hugepages_lock(void)
{
    int fd = open("/proc/sys/vm/nr_hugepages", O_RDONLY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
        usleep(LOCK_WAIT_US);
    return fd;
}

void port_hugepages_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}

bool port_eal_hugepages(void)
{
    return said.hugepages;
}

size_t port_eal_memory(unsigned ports, unsigned workers)
{
    return BASE_BYTES + (size_t)ports * workers * POOL_BYTES;
}

struct args {
    int n;
    char *at[EAL_ARGS];
    char text[EAL_ARGS][96];
};

static void arg(struct args *a, const char *text)
{
    snprintf(a->text[a->n], sizeof(a->text[0]), "%s", text);
    a->at[a->n] = a->text[a->n];
    a->n++;
}

/*
 * One lcore of EAL's, this thread: workers register themselves (rte_thread_register), which EAL
 * allows only without secondary processes, so --in-memory or --no-shconf.
 */
static void build_args(struct args *a, const struct eal_config *c, bool huge, int cpu)
{
    char text[96];
    a->n = 0;
    arg(a, "coral");
    snprintf(text, sizeof(text), "--lcores=0@%d", cpu);
    arg(a, text);
    snprintf(text, sizeof(text), "--file-prefix=%.48s", c->name);
    arg(a, text);
    arg(a, "--no-pci");
    arg(a, "--no-telemetry");
    arg(a, "--log-level=4"); /* errors and worse */
    if (huge) {
        arg(a, "--in-memory");
    } else {
        arg(a, "--no-huge");
        arg(a, "--no-shconf");
    }
    snprintf(text, sizeof(text), "-m");
    arg(a, text);
    size_t mib = (c->memory_bytes + (1u << 20) - 1) >> 20;
    snprintf(text, sizeof(text), "%zu", (mib + 1) & ~(size_t)1);
    arg(a, text);
}

static int eal_init(struct args *a)
{
    struct quiet q;
    char *argv[EAL_ARGS]; /* EAL permutes it */
    memcpy(argv, a->at, sizeof(argv));
    quiet_begin(&q);
    int r = rte_eal_init(a->n, argv);
    quiet_end(&q, r < 0);
    return r;
}

int port_eal_start(const struct eal_config *config, char *error, size_t error_len)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) == 0) {
        snprintf(error, error_len, "cannot ask which CPUs are ours: %s", strerror(errno));
        return -1;
    }
    int cpu = 0;
    while (!CPU_ISSET(cpu, &cpus))
        cpu++;
    if (!log_capture()) {
        snprintf(error, error_len, "out of memory");
        return -1;
    }

    struct args a = {0};
    int lock = port_hugepages_lock();
    bool huge = !config->no_hugepages && port_hugepages_free() >= config->memory_bytes;
    build_args(&a, config, huge, cpu);
    port_said_clear();
    int r = eal_init(&a);
    port_hugepages_unlock(lock);
    /* EAL pins the thread that starts it; ours goes where it was allowed before */
    sched_setaffinity(0, sizeof(cpus), &cpus);
    if (r < 0) {
        char line[LINE_BYTES];
        int why = rte_errno;
        port_eal_said(line, sizeof(line));
        snprintf(error, error_len, "DPDK did not start: %s (%s)", rte_strerror(why),
                 line[0] ? line : "it gives no reason");
        return -1;
    }
    said.hugepages = huge;
    return 0;
}

void port_eal_stop(void)
{
    struct quiet q;
    quiet_begin(&q);
    rte_eal_cleanup();
    quiet_end(&q, false);
}
