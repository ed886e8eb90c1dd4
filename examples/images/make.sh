#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the images of shop.yaml out of busybox, without a registry:
#   make.sh FOLDER      FOLDER/front-1, front-2, back-1: OCI layouts, for `fairctl image load FOLDER/front-1 shop/front:1`
set -eu

here=$(dirname "$(realpath "$0")")
out=${1:?make.sh: say into which folder}
for program in umoci busybox; do
        command -v $program >/dev/null || { echo "make.sh: $program is missing: apt-get install umoci busybox-static" >&2; exit 1; }
done
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

make_image() { # name, folder of scripts, version
        root=$work/$1 layout=$out/$1
        mkdir -p "$root/bin" "$root/www/cgi-bin" "$root/tmp"
        cp "$(command -v busybox)" "$root/bin/busybox"
        for applet in sh cat wc wget httpd sleep env; do ln -s busybox "$root/bin/$applet"; done
        cp "$here/$2"/* "$root/www/cgi-bin/"
        echo "$3" >"$root/www/version"
        echo ok >"$root/www/healthz"
        rm -rf "$layout"
        umoci init --layout "$layout"
        umoci new --image "$layout:latest"
        umoci insert --image "$layout:latest" "$root" /
        umoci config --image "$layout:latest" --config.env PATH=/bin --config.entrypoint /bin/httpd --config.cmd -f \
                --config.cmd -vv --config.cmd -p --config.cmd 8080 --config.cmd -h --config.cmd /www
}

{
        make_image front-1 front 1
        make_image front-2 front 2
        make_image back-1 back 1
} >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
echo "$out: front-1 front-2 back-1"
