/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket's server with clients that behave well, and others. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/request.h"
#include "control/server.h"

struct world {
    struct server *server;
    char path[64];
    uint32_t held; /* client whose answer is kept back */
    bool hold;
    unsigned requests;
    size_t answer_bytes;
};

static void answer(struct world *w, uint32_t client, const char *line, size_t len)
{
    char *big = w->answer_bytes ? malloc(w->answer_bytes + 1) : NULL;
    if (big) {
        memset(big, 'x', w->answer_bytes);
        big[w->answer_bytes] = '\0';
    }
    server_reply(w->server, client,
                 json_pack("{s:b, s:s%, s:s*}", "ok", 1, "line", line, len, "big", big));
    free(big);
}

static void request(void *ctx, uint32_t client, const char *line, size_t len)
{
    struct world *w = ctx;
    w->requests++;
    if (w->hold)
        w->held = client;
    else
        answer(w, client, line, len);
}

static void open_world(struct world *w)
{
    char error[256];
    memset(w, 0, sizeof(*w));
    snprintf(w->path, sizeof(w->path), "control-test-%d.sock", getpid());
    w->server = server_open(w->path, request, w, error, sizeof(error));
    cr_assert(w->server, "%s", error);
}

static void close_world(struct world *w)
{
    server_close(w->server);
    unlink(w->path);
}

static int client(const struct world *w)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memcpy(at.sun_path, w->path, sizeof(w->path));
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void poll_some(struct world *w, uint64_t us)
{
    for (int i = 0; i < 8; i++)
        server_poll(w->server, us);
}

static ssize_t say(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* What arrived; "" when nothing did, NULL when the server hung up. */
static const char *hear(int fd, char out[1024])
{
    ssize_t n = recv(fd, out, 1023, 0);
    out[n > 0 ? n : 0] = '\0';
    return n == 0 ? NULL : out;
}

Test(server, lines_are_answered_in_order)
{
    struct world w;
    char got[1024];

    open_world(&w);
    struct stat st;
    cr_assert_eq(stat(w.path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0660);
    int fd = client(&w);
    say(fd, "one\ntwo\r\nthr");
    poll_some(&w, 1);
    say(fd, "ee\n");
    poll_some(&w, 1);
    cr_expect_str_eq(hear(fd, got),
                     "{\"ok\":true,\"line\":\"one\"}\n{\"ok\":true,\"line\":\"two\"}\n"
                     "{\"ok\":true,\"line\":\"three\"}\n");
    close(fd);
    close_world(&w);
}

Test(server, a_late_answer_finds_its_client_and_the_next_line_follows)
{
    struct world w;
    char got[1024];

    open_world(&w);
    int fd = client(&w), other = client(&w);
    w.hold = true;
    say(fd, "slow\nnext\n");
    poll_some(&w, 1);
    cr_expect_eq(w.requests, 1u, "one at a time");
    w.hold = false;
    say(other, "quick\n");
    poll_some(&w, 1);
    cr_expect_str_eq(hear(other, got), "{\"ok\":true,\"line\":\"quick\"}\n");
    cr_expect_str_eq(hear(fd, got), "");
    answer(&w, w.held, "done", 4);
    poll_some(&w, 1);
    cr_expect_str_eq(hear(fd, got),
                     "{\"ok\":true,\"line\":\"done\"}\n{\"ok\":true,\"line\":\"next\"}\n");
    close(fd);
    close(other);
    close_world(&w);
}

Test(server, an_answer_to_one_that_left_reaches_nobody)
{
    struct world w;
    char got[1024];

    open_world(&w);
    int fd = client(&w);
    w.hold = true;
    say(fd, "slow\n");
    poll_some(&w, 1);
    uint32_t gone = w.held;
    close(fd);
    poll_some(&w, 1);
    int next = client(&w); /* takes the same place */
    say(next, "mine\n");
    poll_some(&w, 1);
    answer(&w, gone, "not yours", 9);
    poll_some(&w, 1);
    cr_expect_str_eq(hear(next, got), "");
    answer(&w, w.held, "mine", 4);
    cr_expect_str_eq(hear(next, got), "{\"ok\":true,\"line\":\"mine\"}\n");
    close(next);
    close_world(&w);
}

Test(server, a_line_without_end_is_refused)
{
    struct world w;
    char got[1024], block[4096];
    size_t sent = 0;

    open_world(&w);
    int fd = client(&w);
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 2000 && sent < REQUEST_BYTES + 4096; i++) {
        ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (errno != EAGAIN)
            break;
        server_poll(w.server, 1);
    }
    poll_some(&w, 1);
    cr_expect_str_eq(hear(fd, got), "{\"ok\":false,\"error\":\"a request has at most 1 MiB\"}\n");
    cr_expect_eq(w.requests, 0u);
    close(fd);
    close_world(&w);
}

Test(server, who_does_not_read_is_cut_and_holds_up_nobody)
{
    struct world w;
    char got[1024];

    open_world(&w);
    int fd = client(&w), other = client(&w);
    w.answer_bytes = 8u << 20;
    say(fd, "big\n");
    poll_some(&w, 1000);
    cr_expect_eq(server_deadline_us(w.server), 10001000u);
    w.answer_bytes = 0;
    say(other, "quick\n");
    poll_some(&w, 2000);
    cr_expect_str_eq(hear(other, got), "{\"ok\":true,\"line\":\"quick\"}\n");
    poll_some(&w, 10001001);
    cr_expect_eq(server_deadline_us(w.server), UINT64_MAX);
    while (hear(fd, got) && *got)
        ;
    cr_expect_null(hear(fd, got), "cut");
    close(fd);
    close(other);
    close_world(&w);
}

Test(server, too_many_are_told_so)
{
    struct world w;
    char got[1024];
    int fd[SERVER_CLIENTS + 1];

    open_world(&w);
    for (int i = 0; i <= SERVER_CLIENTS; i++) {
        fd[i] = client(&w);
        poll_some(&w, 1);
    }
    cr_expect(strstr(hear(fd[SERVER_CLIENTS], got), "too many clients"), "%s", got);
    close(fd[0]);
    poll_some(&w, 1);
    int again = client(&w);
    say(again, "x\n");
    poll_some(&w, 1);
    cr_expect_str_eq(hear(again, got), "{\"ok\":true,\"line\":\"x\"}\n");
    for (int i = 1; i <= SERVER_CLIENTS; i++)
        close(fd[i]);
    close(again);
    close_world(&w);
}

Test(server, a_text_that_is_cut_in_a_character_is_told_all_the_same)
{
    static const struct {
        const char *given, *told;
    } texts[] = {
        {"", ""},        {"plain", "plain"}, {"\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac"},
        {"a\xc3", "a?"}, {"\xa4z", "?z"},    {"\xe2\x82 is cut", "?? is cut"}};
    struct world w;
    char buf[1024];
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *t = server_text(texts[i].given);
        cr_expect_str_eq(json_string_value(t), texts[i].told);
        json_decref(t);
    }

    open_world(&w);
    w.hold = true;
    int a = client(&w);
    say(a, "x\n");
    poll_some(&w, 1);
    server_refuse(w.server, w.held, "\"\xc3\" is no site");
    cr_expect_str_eq(hear(a, buf), "{\"ok\":false,\"error\":\"\\\"?\\\" is no site\"}\n");
    close(a);
    close_world(&w);
}

Test(server, one_that_shuts_its_side_still_gets_its_answer)
{
    struct world w;
    char got[1024];

    open_world(&w);
    int fd = client(&w);
    say(fd, "bye\n");
    shutdown(fd, SHUT_WR);
    poll_some(&w, 1);
    cr_expect_str_eq(hear(fd, got), "{\"ok\":true,\"line\":\"bye\"}\n");
    cr_expect_null(hear(fd, got));
    close(fd);
    close_world(&w);
}
