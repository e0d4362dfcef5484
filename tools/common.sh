# shellcheck shell=bash
# What tools/demo and tools/check share: root, packages, builds, hugepages. Sourced.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" = 0 ] || {
        printf '%s: must run as root (network namespaces, AF_XDP); try: sudo %s\n' "${0##*/}" "$0" >&2
        exit 5
    }
}

# Installs what is missing of tools/packages; asks apt only then.
install_packages() {
    local list missing=() p
    list=$(sed 's/#.*//' "$here/tools/packages")
    for p in $list; do
        dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -q '^installed' || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    command -v apt-get >/dev/null || die "needs Debian 12's apt-get to install: ${missing[*]}"
    say "installing ${#missing[@]} Debian packages"
    local log
    log=$(mktemp)
    # packaged services must not start here: the lab runs its own in namespaces of its own
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        made=1
    fi
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        [ -n "$made" ] && rm -f $policy
        tail -n 5 "$log" >&2
        die "apt-get could not install: ${missing[*]} (whole log: $log)"
    fi
    [ -n "$made" ] && rm -f $policy
    rm -f "$log"
}

# What `ninja` builds: everything, or with $only the tests of that suite.
targets() {
    [ -n "${only:-}" ] || return 0
    meson introspect "$1" --tests | python3 -c "
import json, os, sys
for t in json.load(sys.stdin):
    if any(s.endswith('$only') for s in t['suite']):
        print(os.path.relpath(t['cmd'][0], '$1'))"
}

# build_tree DIR LOG MESON-OPTION...: configures once and builds; prints the log's end on failure.
build_tree() {
    local dir=$1 log=$2
    shift 2
    mkdir -p "$(dirname "$log")"
    {
        if [ -e "$dir/build.ninja" ]; then
            meson configure "$dir" "${@//--buildtype=/-Dbuildtype=}" || return 1
        else
            rm -rf "$dir"
            meson setup "$dir" "$here" "$@" || return 1
        fi
        ninja -C "$dir" build.ninja || return 1 # made anew first, or a new test is not among the targets
        # shellcheck disable=SC2046 # a list of words
        ninja -C "$dir" $(targets "$dir")
    } >"$log" 2>&1 || {
        grep -aE 'error|FAILED|ERROR' "$log" | head -n 20 >&2
        tail -n 20 "$log" >&2
        return 1
    }
}

# reserve_hugepages N: tries to have N free 2 MiB pages; says how many there are.
reserve_hugepages() {
    local want=$1 total free
    [ -e /proc/sys/vm/nr_hugepages ] || { echo 0; return; }
    free=$(awk '/^HugePages_Free/ {print $2}' /proc/meminfo)
    total=$(cat /proc/sys/vm/nr_hugepages)
    if [ "${free:-0}" -lt "$want" ]; then
        echo $((total + want - free)) >/proc/sys/vm/nr_hugepages 2>/dev/null || true
    fi
    awk '/^HugePages_Free/ {print $2}' /proc/meminfo
}
