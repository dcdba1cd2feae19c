#!/bin/sh
# make-root.sh DIR MIRROR SUITE: a Debian folder with Swift, its swift-syntax, Node and the test bed's compiler.
# Root only. What is there already is kept; the file `ready`, written last, says that all of it is.
set -eu
dir=$1 mirror=$2 suite=$3
here=$(dirname "$0")
packages=ca-certificates,git,nodejs,build-essential,clang-19,libclang-rt-19-dev,swiftlang

rm -rf "$dir"
mkdir -p "$dir"
debootstrap --variant=minbase --include="$packages" "$suite" "$dir" "$mirror"

# apt in there sees the network as the one out here does.
for file in /etc/resolv.conf /etc/hosts; do [ ! -e $file ] || cp -L $file "$dir$file"; done
apt-config dump | grep -E '^Acquire::https?::Proxy' > "$dir/etc/apt/apt.conf.d/90proxy" || true
echo "deb-src $mirror $suite main" > "$dir/etc/apt/sources.list.d/source.list"

# node-swift's macros need the swift-syntax that is part of Swift's own sources; SwiftPM takes it from a git repository.
chroot "$dir" sh -eu -c '
  cd /opt
  apt-get -qq update
  apt-get -qq source --download-only --tar-only swiftlang
  tar -xJf swiftlang_*.orig.tar.xz --wildcards --no-anchored "*/swift-syntax/*"
  rm swiftlang_*
  mv swiftlang-*/swift-syntax .
  rmdir swiftlang-*
  cd swift-syntax
  git init -q -b main
  git add -A
  git -c user.name=tilewright -c user.email=tilewright@localhost commit -qm "swift-syntax of Swift 6.0"
  git tag 600.0.1
  apt-get clean
  mkdir -p /root/.swiftpm/configuration
'
cat > "$dir/root/.swiftpm/configuration/mirrors.json" <<'JSON'
{
  "object": [
    { "original": "https://github.com/swiftlang/swift-syntax.git", "mirror": "file:///opt/swift-syntax" }
  ],
  "version": 1
}
JSON
sha256sum < "$here/make-root.sh" | cut -c 1-64 > "$dir/ready"
