/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP/1.1 messages (RFC 9110, 9112): syntax, and connections on a `stream`. The parsers are
 * functions of (pointer, length); nothing is copied, fields are spans of the input. What could
 * be read two ways is refused, never guessed (smuggling: RFC 9112 11.2): both Content-Length
 * and Transfer-Encoding, several lengths, bare LF, obs-fold, space before the colon, bad chunk
 * sizes, NUL and control characters. tests/http/vectors.c has every such trick that is known, and
 * our answer.
 */
#ifndef CORAL_HTTP_H
#define CORAL_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/now.h"
#include "base/stream.h"
#include "dataplane/http/counters.h"

#define HTTP_FIELDS             100
#define HTTP_CONNECTION_OPTIONS 32 /* members of Connection (RFC 9110 7.6.1), of all its fields */
#define HTTP_HEAD_MAX           STREAM_LOOKAHEAD
#define HTTP_URL_MAX            4096

struct http_text {
    const char *p;
    uint32_t len;
};

struct http_field {
    struct http_text name, value; /* value without surrounding white space */
    uint8_t known;                /* enum http_known, 0: another */
};

/* Fields that we look at; http_head.known[] gives the index of their first occurrence + 1. */
enum http_known {
    HTTP_OTHER,
    HTTP_AGE,
    HTTP_AUTHORIZATION,
    HTTP_CACHE_CONTROL,
    HTTP_CDN_LOOP,
    HTTP_CONNECTION,
    HTTP_CONTENT_LENGTH,
    HTTP_CONTENT_RANGE,
    HTTP_CONTENT_TYPE,
    HTTP_COOKIE,
    HTTP_DATE,
    HTTP_ETAG,
    HTTP_EXPECT,
    HTTP_EXPIRES,
    HTTP_HOST,
    HTTP_IF_MODIFIED_SINCE,
    HTTP_IF_NONE_MATCH,
    HTTP_IF_RANGE,
    HTTP_KEEP_ALIVE,
    HTTP_LAST_MODIFIED,
    HTTP_LOCATION,
    HTTP_PRAGMA,
    HTTP_PROXY_AUTHENTICATE,
    HTTP_PROXY_AUTHORIZATION,
    HTTP_PROXY_CONNECTION,
    HTTP_RANGE,
    HTTP_RETRY_AFTER,
    HTTP_SET_COOKIE,
    HTTP_TE,
    HTTP_TRAILER,
    HTTP_TRANSFER_ENCODING,
    HTTP_UPGRADE,
    HTTP_USER_AGENT,
    HTTP_VARY,
    HTTP_VIA,
    HTTP_CORAL_PEER, /* our own, between nodes: dataplane/proxy/peer.h */
    HTTP_KNOWN,
};

enum http_method { HTTP_GET, HTTP_HEAD_METHOD, HTTP_OTHER_METHOD };

/* What a message is refused for, and the status that says so to a client. */
enum http_error {
    HTTP_OK,
    HTTP_AGAIN,        /* incomplete: come back with more */
    HTTP_BAD_LINE,     /* 400: no request line, or no status line */
    HTTP_BAD_TARGET,   /* 400: none of RFC 9112 3.2's forms, or of a bad host */
    HTTP_BAD_FIELD,    /* 400: a line that is no field */
    HTTP_BAD_HOST,     /* 400: no Host, two, or one that is none */
    HTTP_BAD_LENGTH,   /* 400: Content-Length twice, or no number */
    HTTP_BAD_FRAMING,  /* 400: a coding with a length, in HTTP/1.0, or not chunked once and last */
    HTTP_BAD_BODY,     /* 400: what follows is not as its framing says */
    HTTP_SHORT_BODY,   /* 400: it ended early */
    HTTP_SLOW_HEAD,    /* 408 */
    HTTP_SLOW_BODY,    /* 408 */
    HTTP_URI_TOO_LONG, /* 414 */
    HTTP_BAD_EXPECT,   /* 417: an expectation that is not known */
    HTTP_HEAD_TOO_LARGE, /* 431: in bytes, fields, or members of Connection */
    HTTP_BAD_CODING,     /* 501: a transfer coding that is not known */
    HTTP_BAD_VERSION,    /* 505 */
    HTTP_ERRORS
};

enum http_framing {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
    HTTP_BODY_CLOSE, /* responses: until the connection ends */
};

struct http_head {
    bool request;
    uint8_t minor; /* HTTP/1.minor */
    /* request line */
    enum http_method method;
    struct http_text method_text, target;
    struct http_text path; /* of origin-form and absolute-form; with the query */
    /* both */
    const char *end;   /* of the head; requests: it begins with method_text */
    uint32_t head_len; /* bytes of the whole head, the empty line included */
    /* status line */
    uint16_t status;
    struct http_text reason;
    /* what the fields say, but for an authority that the request line names */
    struct http_text authority; /* of absolute-form, else of Host */
    uint16_t port;              /* of the authority; 0: none is said */
    bool keep_alive;
    enum http_framing framing;
    uint64_t content_length; /* HTTP_BODY_LENGTH */
    void *remark; /* HTTP_REMARK bytes of the reader's own, which come with these very fields again
                     (http_parse_again); zeros the first time. NULL: they will not be known */
    uint8_t fields;
    uint8_t known[HTTP_KNOWN];
    struct http_field field[HTTP_FIELDS];
    char host[256]; /* of the authority, as http_authority writes it; "": there is none */
};

/* Parses a request head. HTTP_AGAIN until it is complete; what has been looked at is looked at
 * again (the callers' buffers are bounded by HTTP_HEAD_MAX). */
enum http_error http_parse_request(const char *data, size_t len, struct http_head *out);
/*
 * The same of a server's requests, one after the other, whose fields are mostly the same: a client
 * says of itself what it said the last time, and so do clients alike. Fields that came lately are
 * kept with what they say; where exactly these bytes come again behind a request line, they are
 * not read again. Fields with credentials are not kept: how long it takes would tell who guesses
 * them that he did. Those are Authorization, Proxy-Authorization and Cookie; a reader that knows of
 * more has them forgotten. *out is valid until the next call.
 */
#define HTTP_RECENT       64   /* sets of fields; which is kept where, a print of theirs says */
#define HTTP_RECENT_BYTES 1024 /* of one set: a browser's has some 500 */
#define HTTP_REMARK       128
struct http_recent {
    struct http_head other; /* of a request whose fields are not kept */
    struct http_recent_fields {
        struct http_head head;
        uint64_t remark[HTTP_REMARK / 8];
        uint32_t len; /* 0: none */
        char bytes[HTTP_RECENT_BYTES];
    } set[HTTP_RECENT];
};
enum http_error http_parse_again(struct http_recent *recent, const char *data, size_t len,
                                 const struct http_head **out);
/* The fields of a head that has a remark are read anew when they come again. The head stays. */
void http_recent_forget(const struct http_head *h);
/* A response head; `to_head` when it answers a HEAD (no body follows). */
enum http_error http_parse_response(const char *data, size_t len, bool to_head,
                                    struct http_head *out);
/* The status that answers it: 400 and more. */
unsigned http_error_status(enum http_error e);
/* First field of a known name, or NULL. */
static inline const struct http_field *http_known(const struct http_head *h, enum http_known which)
{
    unsigned at = h->known[which];
    return at ? &h->field[at - 1] : NULL;
}
/* True when a comma list has the member `token` (any case), over all fields of that name. */
bool http_list_has(const struct http_head *h, enum http_known which, const char *token);
/* Is a field of that name for the next hop alone, by the Connection field (RFC 9110 7.6.1)? */
bool http_connection_names(const struct http_head *h, struct http_text name);

/* Chunked coding (RFC 9112 7.1), incremental: feed bytes, get spans of data. */
struct http_chunked {
    uint64_t left;
    uint8_t state;
    uint32_t line; /* bytes of the size or trailer line so far: bounded */
};
void http_chunked_init(struct http_chunked *c);
/* Consumes some of data; sets `span` to the body bytes among what it consumed (maybe 0). Returns
 * HTTP_OK when the body is complete, HTTP_AGAIN for more, HTTP_BAD_BODY. */
enum http_error http_chunked_next(struct http_chunked *c, const uint8_t *data, size_t len,
                                  size_t *consumed, struct http_text *span);

/* What a Range field (RFC 9110 14.1.2) is against a length: HTTP_RANGE_NONE for one that is absent
 * or malformed (ignored: 200), HTTP_RANGE_UNSATISFIABLE: 416. */
enum http_range { HTTP_RANGE_NONE, HTTP_RANGE_OK, HTTP_RANGE_UNSATISFIABLE };
/* The satisfiable ones in its order, at least one if HTTP_RANGE_OK. Those that overlap, or have
 * less between them than a part of a multipart response costs, are one (RFC 9110 15.3.7.2), where
 * the first of them stood: so no byte is in two. More than HTTP_RANGES, HTTP_RANGE_NONE (14.2). */
struct http_span {
    uint64_t first, last;
};
enum { HTTP_RANGES = 16, HTTP_RANGE_GAP = 80 };
enum http_range http_ranges(struct http_text value, uint64_t length,
                            struct http_span out[static HTTP_RANGES], unsigned *n);
/* "bytes 5-9/100" of a 206; length -1 for '*'. */
bool http_content_range(struct http_text value, uint64_t *first, uint64_t *last, int64_t *length);

/* Dates (RFC 9110 5.6.7): reads all three forms, -1 when it is none; writes IMF-fixdate, 29 bytes
 * and NUL. */
int64_t http_date_parse(struct http_text t);
void http_date_write(int64_t wall_s, char out[static 30]);
const char *http_reason(unsigned status);

/* Normalises (RFC 3986 6.2.2) scheme "http", host and path into a cache key "http://host[:port]/
 * path?query": host in lower case, default port dropped, percent-encoding and dot segments
 * normalised, fragment dropped. Returns the length, 0 when it is no valid URL or longer than
 * `room`. */
size_t http_url_normalise(struct http_text host, uint16_t port, struct http_text path, char *out,
                          size_t room);
/* The same for a host that is in its normal form already. */
size_t http_url_write(struct http_text host, uint16_t port, struct http_text path, char *out,
                      size_t room);
/* The same where `out` begins with `len` bytes of it: all before the path. */
size_t http_url_path(struct http_text path, char *out, size_t len, size_t room);
/* Splits "host", "host:port" (Host field, authority): lower-cases into `host`; port 0 when there
 * is none. False when malformed. */
bool http_authority(struct http_text in, char host[static 256], uint16_t *port);

/* --- server connections ----------------------------------------------------------------------- */

/*
 * http_server sits on accepted streams: parses requests in order, hands each to the handler and
 * sends responses in order. Pipelined requests wait until the one before is answered
 * (RFC 9112 9.3.2).
 * Responses are written by the handler through http_respond_*: a head and then references or
 * copies, at its own pace.
 */
struct http_server;
struct http_conn;

struct http_server_config {
    uint32_t connections;
    uint32_t idle_ms;  /* keep-alive */
    uint32_t head_ms;  /* from the first byte of a request to its end */
    uint32_t stall_ms; /* no progress of a response while the peer's window stays shut */
};

struct http_handler {
    void *ctx;
    /* A request's head; valid until return, copy what is kept. A body, where http_has_body says
     * that one follows, is for who calls http_conn_read_body before return; else it is not read,
     * and the connection ends with the answer. The handler answers now or later, exactly once:
     * http_respond_head (or _ref), any number of http_respond_ref / _copy, then http_respond_end;
     * or http_respond_abort. */
    void (*request)(void *ctx, struct http_conn *c, const struct http_head *h, struct now now);
    /* Bytes of the body, without its framing; returns how many were taken: fewer stop the flow
     * until http_conn_resume. Optional, with `body_end`, which tells that it is whole; neither
     * comes after the answer has ended. A body that breaks off, stalls (408) or is badly framed
     * (400) is answered by the server, after `gone`. */
    size_t (*body)(void *ctx, struct http_conn *c, void *request, const uint8_t *data, size_t len,
                   struct now now);
    void (*body_end)(void *ctx, struct http_conn *c, void *request, struct now now);
    /* Room again after http_respond_ref or _copy took less than given. */
    void (*writable)(void *ctx, struct http_conn *c, void *request, struct now now);
    /* The client is gone before the response ended: forget `request`. */
    void (*gone)(void *ctx, struct http_conn *c, void *request, struct now now);
    /* Optional: the server answers by itself what never came to request(), begun at `since_us`,
     * with http_error_status(why) and a body of so many bytes. `h`: NULL where it could not be
     * read. */
    void (*refused)(void *ctx, struct http_conn *c, const struct http_head *h, uint64_t since_us,
                    enum http_error why, size_t bytes, struct now now);
};

struct http_server *http_server_create(const struct http_server_config *config,
                                       const struct http_handler *handler, struct now now);
void http_server_destroy(struct http_server *s);
/* A tcp_accept callback; ctx is the server. */
bool http_server_accept(void *server, struct stream *s, struct now now);
void http_server_poll(struct http_server *s, struct now now);
uint64_t http_server_deadline_us(const struct http_server *s);
/* Finish what runs, then close; new requests on live connections get Connection: close. */
void http_server_drain(struct http_server *s);
/* Resets what is left. */
void http_server_cut(struct http_server *s);
uint32_t http_server_connections(const struct http_server *s);
const struct http_counters *http_server_counters(const struct http_server *s);

/* The handler's own pointer for the request in progress. */
void http_conn_set_request(struct http_conn *c, void *request);
const struct endpoint *http_conn_peer(const struct http_conn *c);
/* In gone(): why the server answers in the handler's place, since the request's body did not come
 * whole; HTTP_OK: the client is gone. */
enum http_error http_conn_refused(const struct http_conn *c);
#define HTTP_BODY_REFUSED "The request's body did not come whole.\n" /* the text of that answer */
bool http_conn_keeps_alive(const struct http_conn *c);
/* The handler's mark: this connection has been served. */
void http_conn_serve(struct http_conn *c);
bool http_conn_served(const struct http_conn *c);
/* Before the answer's head: the handler, too, finds that malformed. It is counted, and the
 * connection ends with the answer. */
void http_conn_malformed(struct http_conn *c, enum http_error why);
static inline bool http_has_body(const struct http_head *h)
{
    return h->framing == HTTP_BODY_CHUNKED ||
           (h->framing == HTTP_BODY_LENGTH && h->content_length > 0);
}
/* From inside request(): the body of this head is wanted. False: too many are being read. */
bool http_conn_read_body(struct http_conn *c, const struct http_head *h, struct now now);
/* There is room for more of the body. */
void http_conn_resume(struct http_conn *c);
/* An interim response (RFC 9110 15.2), a whole head; dropped for a client of HTTP/1.0, and once the
 * response's head is out. */
void http_respond_interim(struct http_conn *c, const char *head, size_t len);
/* Calls `look` for at most `n` connections from number *at on, which moves, with the handler's
 * request in progress or NULL. False: the last one was among them, *at is 0. */
typedef void http_look(void *ctx, struct http_conn *c, void *request, struct now now);
bool http_server_look(struct http_server *s, uint32_t *at, uint32_t n, http_look *look, void *ctx,
                      struct now now);
/* How long the peer has acknowledged nothing of what is queued: as far as this was asked, and by
 * now. 0: nothing is queued, or some of it was taken since it was asked last. */
uint64_t http_conn_still_us(struct http_conn *c, struct now now);
/* stream_own, over all that the connection holds. */
bool http_conn_own(struct http_conn *c, ref_choice *which, size_t most);
/* Resets it, whatever it is at; `gone` follows. */
void http_conn_reset(struct http_conn *c);

/* The response head, complete with the empty line, copied; `length` of the body that follows, or
 * -1: chunked for HTTP/1.1 clients (http_server frames what follows; the head must then say so:
 * http_conn_chunks tells), else until close. False: no room now, try at writable. */
bool http_respond_head(struct http_conn *c, const char *head, size_t len, int64_t length);
/* The same of a head that rests somewhere, as http_respond_ref. */
bool http_respond_head_ref(struct http_conn *c, struct ref head, int64_t length);
/* A whole answer in one reference, its head first, to who keeps its connection
 * (http_conn_keeps_alive). False: there is no room for it, or something else is owed; nothing has
 * happened. */
bool http_respond_whole(struct http_conn *c, struct ref answer, struct now now);
bool http_conn_chunks(const struct http_conn *c); /* would an unknown length be chunked? */
/* Bytes by reference; false: queue full, come back at writable. */
bool http_respond_ref(struct http_conn *c, struct ref r);
size_t http_respond_copy(struct http_conn *c, const void *data, size_t len);
/* Takes back what was given of this response's body by reference to what `which` picks, and was
 * never sent: the handler gives these bytes again. Returns how many; 0 where they are framed as
 * chunks. */
uint64_t http_respond_take_back(struct http_conn *c, ref_choice *which);
/* Room in the stream's queue, a hint. */
size_t http_respond_room(const struct http_conn *c);
void http_respond_end(struct http_conn *c, struct now now);
/* Never a truncated body that looks whole: resets the connection. */
void http_respond_abort(struct http_conn *c);
/* A whole small response made here: status, text body, Connection: close if `close`. */
void http_respond_error(struct http_conn *c, unsigned status, const char *text,
                        uint32_t retry_after_s, bool close, struct now now);

/* --- client exchanges ------------------------------------------------------------------------- */

/*
 * One exchange on a stream: sends a request, parses the response, and hands out the body with its
 * framing undone. Connections to an upstream are raced over its addresses (RFC 8305), kept alive
 * and pooled: 8 idle ones an endpoint, `idle_pool` in all, the oldest closed first.
 */
struct http_client; /* one a worker: memory for exchanges */
struct http_exchange;

enum http_failure {
    HTTP_FAIL_CONNECT,   /* no address: refused, unreachable, timed out before it stood */
    HTTP_FAIL_EARLY,     /* closed or reset before a complete head: safe to retry on a pooled one */
    HTTP_FAIL_MALFORMED, /* the head or framing is bad */
    HTTP_FAIL_TRUNCATED, /* the body ended early */
    HTTP_FAIL_TIMEOUT,
};

struct http_exchange_events {
    /* Final response head; valid until return. False: abort. */
    bool (*head)(void *user, struct http_exchange *x, const struct http_head *h, struct now now);
    /* Body bytes; returns how many were taken: fewer stop the flow until http_exchange_resume. */
    size_t (*body)(void *user, struct http_exchange *x, const uint8_t *data, size_t len,
                   struct now now);
    /* Exactly one of done and failed ends an exchange; it is gone after return. */
    void (*done)(void *user, struct http_exchange *x, struct now now);
    void (*failed)(void *user, struct http_exchange *x, enum http_failure why, struct now now);
    /* Optional: an interim response (1xx, not 101), valid until return. */
    void (*interim)(void *user, struct http_exchange *x, const struct http_head *h);
    /* Optional: there is room for the request's body (HTTP_SEND_BODY). */
    void (*writable)(void *user, struct http_exchange *x, struct now now);
    /* Optional: where `len` bytes of the body belong that lie `ahead` after the last one that
     * body() took, which it will be given there (base/stream.h says what that asks of the owner).
     * Not more than *len of them are written; NULL: not known. */
    uint8_t *(*place)(void *user, struct http_exchange *x, size_t ahead, size_t *len,
                      struct now now);
};

struct http_client_config {
    uint32_t exchanges;
    uint32_t idle_pool;  /* idle connections kept, per worker; 8 an endpoint */
    uint32_t connect_ms; /* of one attempt */
    uint32_t first_byte_ms, between_bytes_ms, idle_ms;
};
/* For how long what may last; 0: as the client's configuration has it. */
struct http_timeouts {
    uint32_t connect_ms; /* of one attempt */
    uint32_t first_byte_ms, between_bytes_ms;
};
#define HTTP_UPSTREAM_ADDRESSES 8
/* Where a request may go: any of the addresses will do. */
struct http_upstream {
    uint64_t tag; /* whose addresses these are: what was learned of them is kept by it; 0: not */
    unsigned n;
    struct endpoint at[HTTP_UPSTREAM_ADDRESSES];
    struct http_timeouts timeouts;
};
static inline struct http_upstream http_upstream_one(const struct endpoint *to)
{
    return (struct http_upstream){.n = 1, .at[0] = *to};
}
struct http_client_host {
    void *ctx;
    struct stream *(*connect)(void *ctx, const struct endpoint *to,
                              const struct stream_events *events, void *user, struct now now);
};
struct http_client *http_client_create(const struct http_client_config *config,
                                       const struct http_client_host *host, struct now now);
void http_client_destroy(struct http_client *c);
enum http_send {
    HTTP_SEND_HEAD = 1, /* it is a HEAD: its answer has no body */
    /* Must not be sent twice (RFC 9110 9.2.2): on a connection of its own, where there is no doubt
     * whether the server had closed it before it came. */
    HTTP_SEND_ONCE = 2,
    HTTP_SEND_BODY = 4,    /* a body follows: http_exchange_body */
    HTTP_SEND_CHUNKED = 8, /* ... in the chunked coding, which is made here */
    HTTP_SEND_LAST = 16,   /* no other request goes on that connection afterwards */
};
/* Sends `request` (a complete head, copied) to `to`, on an idle connection or a new one; an idle
 * one that turns out dead is replaced by a new one silently. `how`: of enum http_send. NULL: no
 * room, or no attempt could even be begun. */
struct http_exchange *http_client_send(struct http_client *c, const struct http_upstream *to,
                                       const char *request, size_t len, unsigned how,
                                       const struct http_exchange_events *events, void *user,
                                       struct now now);
/* The next bytes of the request's body; returns how many were taken, none before the first
 * writable(). Fewer: the rest at the next one. */
size_t http_exchange_body(struct http_exchange *x, const uint8_t *data, size_t len, struct now now);
/* It was whole. Until then no connection is used again after the answer. */
void http_exchange_body_end(struct http_exchange *x);
/* Ends it without events; the connection is reset. */
void http_exchange_abort(struct http_exchange *x);
void http_exchange_resume(struct http_exchange *x);
/* Its body may pause for longer than between_bytes_ms: the owner has a limit of his own. */
void http_exchange_patient(struct http_exchange *x);
/* The address that it talks to, or tried last. */
const struct endpoint *http_exchange_remote(const struct http_exchange *x);
/* Bit i: address i of its upstream failed to connect, or is the one that stood. Whoever asks again
 * leaves them out. */
unsigned http_exchange_tried(const struct http_exchange *x);
/* Of one that failed to connect: an address refused, or was said to be unreachable, and did not
 * just keep silent. */
bool http_exchange_refused(const struct http_exchange *x);
/* Of one that failed to connect: to an address it was not even tried, for want of room or of a
 * route here. */
bool http_exchange_local(const struct http_exchange *x);
/* Has it a connection that stands? */
bool http_exchange_connected(const struct http_exchange *x);
void http_client_poll(struct http_client *c, struct now now);
uint64_t http_client_deadline_us(const struct http_client *c);
const struct http_counters *http_client_counters(const struct http_client *c);

#endif
