/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/coralctl_node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 5000u /* how often the lock is tried */

/* Not by the lock: to try that takes it for a moment, which a node that starts would stumble at. */
bool node_alive(const char *socket_path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (strlen(socket_path) >= sizeof(at.sun_path))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    memcpy(at.sun_path, socket_path, strlen(socket_path) + 1);
    bool alive = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ||
                 (errno != ECONNREFUSED && errno != ENOENT);
    close(fd);
    return alive;
}

int node_lock_open(const char *socket_path)
{
    char path[128];
    const char *name = strrchr(socket_path, '/');
    int folder = name ? (int)(name - socket_path) : 1;

    snprintf(path, sizeof(path), "%.*s/lock", folder, name ? socket_path : ".");
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* By the clock: a machine that is busy sleeps for longer than it was told to. */
bool node_lock_wait(int lock, unsigned seconds)
{
    struct timespec now;
    bool free = false;

    clock_gettime(CLOCK_MONOTONIC, &now);
    for (time_t end = now.tv_sec + seconds; !free && now.tv_sec < end;
         clock_gettime(CLOCK_MONOTONIC, &now)) {
        free = flock(lock, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK;
        if (!free)
            usleep(LOOK_US);
    }
    close(lock);
    return free;
}
