#!/bin/sh
# Makes a base image where no public image can be pulled: a minimal Debian, the workspace's Node 24 with the machine's npm,
# and the certificate authorities that this machine was given besides Debian's. Needs root, debootstrap, an engine, npm.
#
#   infra/images/make-base.sh [name] [suite]     then: --build-arg BASE=<name>
set -eu
name=${1:-aquifer-base}
suite=${2:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
here=$(cd "$(dirname "$0")" && pwd)
node=$(cd "$here/../../node_modules/node/bin" && pwd)/node

debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >&2
printf 'deb %s %s main\ndeb %s-security %s-security main\n' "$mirror" "$suite" "$mirror" "$suite" >"$root/etc/apt/sources.list"
find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$root/usr/local/share/ca-certificates/" \;
chroot "$root" update-ca-certificates >&2
cp -L "$node" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules"
# Not `npm root --global`: that goes by the first node on the PATH, which may be the workspace's own.
cp -R "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
printf 'APT::Keep-Downloaded-Packages "false";\nDPkg::Post-Invoke {"rm -f /var/cache/apt/*.bin /var/cache/apt/archives/*.deb";};\nAcquire::Languages "none";\n' >"$root/etc/apt/apt.conf.d/90small"
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar -C "$root" -c . | docker import --change 'ENV NODE_USE_SYSTEM_CA=1' --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' --change 'CMD ["bash"]' - "$name"
