/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/coralctl_help.h"

#include <string.h>

#include "control/request.h"

static const char general[] =
    "usage: coralctl [-n NAME | --socket PATH] [--json] VERB\n"
    "\n"
    "  status               what the node does: ports, requests, cache, index, fills\n"
    "  stats [WORD]         counters (that hold WORD); --workers, --all: more\n"
    "  tcp [ADDRESS[:PORT]] TCP counters (--all as above), or connections to there\n"
    "  origins [SITE]       sites' origins: which are asked, which are left alone\n"
    "  shares               what sites use of the network, and who is over his share\n"
    "  peers                the other nodes in the index's routing table\n"
    "  clusters             the clusters of near nodes that it is in, level by level\n"
    "  lookup KEY           ask the index for a URL or a key, hop by hop\n"
    "  near ADDRESS         nodes near an address, found by the routers before it\n"
    "  purge URL            take it out of the cache; --prefix, --tag, --host, --all\n"
    "  log                  requests as they end; --status 5xx and others choose\n"
    "  trace [URL]          one request's story: what it waited for, and how long\n"
    "  rules [WORD [FILE]]  rules about requests: status, check, load\n"
    "  reload               take over the configuration's file, without a restart\n"
    "  drain, stop          finish what runs, then stay or end; --no-wait: only begin\n"
    "\n"
    "options\n"
    "  -n, --name NAME      the node with this name, where several run; or --socket\n"
    "      --json           for scripts; --help: this text, or a verb's; --version\n"
    "\n"
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 done in part,\n"
    "4 corald is not running, 5 not permitted. More: coralctl(1).\n";

static const char *const of_verb[REQUEST_VERBS] = {
    [REQUEST_PURGE] =
        "usage: coralctl [-n NAME] purge [--soft] WHAT\n"
        "\n"
        "Takes out of this node's cache, one of\n"
        "  URL                  one object with its variants, by its http:// URL\n"
        "      --prefix URL     what begins with it, up to a slash or the query\n"
        "      --tag TAG        what its origin gave that tag (Surrogate-Key, Cache-Tag)\n"
        "      --host HOST      all of a host, or of HOST:PORT\n"
        "      --all            everything\n"
        "\n"
        "      --soft           only make it stale: it is revalidated at its next use\n"
        "\n"
        "Other nodes keep their copies: purge there too. More: coralctl(1).\n",
    [REQUEST_LOG] =
        "usage: coralctl [-n NAME] [--json] log [FILTER...] [--no-wait]\n"
        "       coralctl [-n NAME] log reopen\n"
        "\n"
        "The latest requests, then more as they end, until it is interrupted. Of several\n"
        "filters all must hold:\n"
        "      --status STATUS  404, or 5xx\n"
        "      --host HOST      as the client named it\n"
        "      --client ADDRESS[/BITS]\n"
        "      --path PREFIX    how the path begins\n"
        "      --slower TIME    it took so long or longer, like 200ms\n"
        "      --served HOW     hit, stale, peer, origin, collapsed, pass or error\n"
        "      --id ID          as X-Request-ID says\n"
        "\n"
        "      --no-wait        show the latest and end\n"
        "\n"
        "reopen: the access log's file is opened anew. More: coralctl(1).\n",
    [REQUEST_RULES] =
        "usage: coralctl [-n NAME] [--json] rules [status]\n"
        "       coralctl [-n NAME] [--json] rules check|load [FILE]\n"
        "\n"
        "  status               which rules are in force, and since when\n"
        "  check                tell all mistakes in FILE\n"
        "  load                 take FILE over; with a mistake in it those in force stay\n"
        "\n"
        "FILE is read by corald; it is rules.file of the configuration where none is named,\n"
        "and that is what the next start takes. More: coral-rules(5).\n",
    [REQUEST_STATS] =
        "usage: coralctl [-n NAME] [--json] stats [WORD] [--workers] [--all]\n"
        "\n"
        "Counters that are not 0, with their meaning; only those whose names hold WORD.\n"
        "      --workers        each worker's share, too\n"
        "      --all            also what is 0\n",
};

static const char trace[] =
    "usage: coralctl [-n NAME] [--json] trace [FILTER...] [URL] [--no-wait]\n"
    "\n"
    "Waits for the next request that fits, and tells its story: what the cache had,\n"
    "what it waited for and how long, how it ended. The URL is as the client has it,\n"
    "like http://www.example.com/a?b=1; beside it or in its place, log's filters:\n"
    "--status, --host, --client, --path, --slower, --served, --id. All must hold.\n"
    "\n"
    "      --no-wait        the latest that is remembered; none: exit status 1\n"
    "      --json           its record, as in the access log\n"
    "\n"
    "More: coralctl(1).\n";

const char *help_text(const char *verb)
{
    if (verb && strcmp(verb, "trace") == 0)
        return trace;
    for (unsigned i = 0; verb && i < REQUEST_VERBS; i++)
        if (of_verb[i] && strcmp(verb, request_words[i]) == 0)
            return of_verb[i];
    return general;
}
