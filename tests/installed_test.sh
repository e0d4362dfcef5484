#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every manual page of docs/ is installed. usage: installed_test.sh SOURCE BUILD
bad=0
for page in "$1"/docs/*.[158] "$1"/docs/*.[158].in; do
    name=$(basename "$page" .in)
    grep -q "/man${name##*.}/$name\"" "$2/meson-info/intro-installed.json" || {
        echo "docs/${page##*/} is not installed; add it to an install_man()"
        bad=1
    }
done
exit $bad
