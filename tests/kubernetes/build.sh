#!/bin/bash
# Builds a real Kubernetes control plane, 1.20.2, out of packages of Debian 12 alone: build.sh FOLDER
# leaves kube-apiserver, kube-controller-manager, kube-scheduler and etcd in FOLDER/bin.
#
# Nothing is installed, and root is not needed: what compiles is unpacked into FOLDER. Where the
# packages come from is the machine's own apt configuration, or CONTROLPLANE_DEBIAN_ARCHIVE, an
# archive's address. It takes three minutes of two processors, and 3 GB while it does.
set -euo pipefail

SUITE=bookworm
VERSION=1.20.2
PROGRAMS="kube-apiserver kube-controller-manager kube-scheduler"

FOLDER=$(realpath "$1")
umask 022
mkdir -p "$FOLDER"/{apt/state/lists/partial,apt/cache/archives/partial,packages,root,source,bin}
trap 'chmod -R u+w "$FOLDER"' EXIT  # Go writes files that others could not remove.

say() { echo "== $*"; }

# With sources of their own, lists of their own and no installed packages, apt's commands touch
# nothing of the machine's. The hooks that are cleared tidy up what this is not about.
configure_apt() {
  cat > "$FOLDER/apt/apt.conf" <<APT
Dir::State "$FOLDER/apt/state";
Dir::State::status "/dev/null";
Dir::Cache "$FOLDER/apt/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
$1
APT
}

apt() { local command=$1; shift; "$command" -c "$FOLDER/apt/apt.conf" -q "$@"; }

find_archive() {
  if [ -n "${CONTROLPLANE_DEBIAN_ARCHIVE:-}" ]; then echo "$CONTROLPLANE_DEBIAN_ARCHIVE"; return; fi
  # A source of the machine's that fails is no matter as long as Debian's is found.
  apt apt-get update >&2 || true
  # shellcheck disable=SC2016  # apt expands these.
  apt apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Identifier: Packages' |
    awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

say "looking for Debian's archive"
configure_apt ""
ARCHIVE=$(find_archive)
if [ -z "$ARCHIVE" ]; then
  echo "this machine's apt knows no archive of Debian: name one in CONTROLPLANE_DEBIAN_ARCHIVE," >&2
  echo "such as the address of a mirror that has $SUITE" >&2
  exit 1
fi
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
SIGNED=$([ -f $KEYRING ] && echo "[signed-by=$KEYRING] " || true)
for kind in deb deb-src; do
  echo "$kind $SIGNED$ARCHIVE $SUITE main"
done > "$FOLDER/apt/sources.list"
configure_apt "Dir::Etc::sourcelist \"$FOLDER/apt/sources.list\"; Dir::Etc::sourceparts \"/dev/null\";"
apt apt-get update

say "fetching from $ARCHIVE"
cd "$FOLDER/packages"
apt apt-get download golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev etcd-server \
  rsync libacl1 liblz4-1 libpopt0 libssl3 libxxhash0 libzstd1
apt apt-get source --download-only kubernetes
for package in *.deb; do dpkg-deb -x "$package" "$FOLDER/root"; done
tar -xzf kubernetes_*.orig.tar.gz -C "$FOLDER/source" --strip-components=1

# Kubernetes' own makefile copies its results with rsync; ours brings its libraries.
LIBRARIES=$(dirname "$(find "$FOLDER/root/usr/lib" -name 'libpopt.so.0' | head -1)")
mv "$FOLDER/root/usr/bin/rsync" "$FOLDER/root/usr/bin/rsync.real"
cat > "$FOLDER/root/usr/bin/rsync" <<RSYNC
#!/bin/sh
LD_LIBRARY_PATH="$LIBRARIES:${LIBRARIES/usr\/lib/lib}" exec "$FOLDER/root/usr/bin/rsync.real" "\$@"
RSYNC
chmod +x "$FOLDER/root/usr/bin/rsync"

# The reflect2 that this Kubernetes carries crashes when built by Go 1.18 or newer; Debian's does not.
REFLECT2=vendor/github.com/modern-go/reflect2
rm -f "$FOLDER/source/$REFLECT2"/*.{go,s}
cp "$FOLDER/root/usr/share/gocode/src/github.com/modern-go/reflect2"/*.{go,s} "$FOLDER/source/$REFLECT2/"
rm -f "$FOLDER/source/$REFLECT2"/*_test.go

say "building"
cat > "$FOLDER/version.sh" <<VERSIONS
KUBE_GIT_COMMIT=debian
KUBE_GIT_TREE_STATE=clean
KUBE_GIT_VERSION=v$VERSION
KUBE_GIT_MAJOR=1
KUBE_GIT_MINOR=20
VERSIONS
export KUBE_GIT_VERSION_FILE="$FOLDER/version.sh"
export GOROOT="$FOLDER/root/usr/lib/go-1.19" GOPATH="$FOLDER/gopath" HOME="$FOLDER"
export GOPROXY=off GOFLAGS="" CGO_ENABLED=0
export PATH="$GOROOT/bin:$FOLDER/root/usr/bin:/usr/bin:/bin"
unset XDG_CACHE_HOME GOCACHE GOENV CDPATH MAKEFLAGS MAKELEVEL
mkdir -p "$GOPATH/src/k8s.io"
ln -sfn "$FOLDER/source" "$GOPATH/src/k8s.io/kubernetes"
cd "$GOPATH/src/k8s.io/kubernetes"
make WHAT="$(printf 'cmd/%s ' $PROGRAMS)"

for program in $PROGRAMS; do cp -L "_output/bin/$program" "$FOLDER/bin/"; done
cp "$FOLDER/root/usr/bin/etcd" "$FOLDER/bin/"
for program in $PROGRAMS; do "$FOLDER/bin/$program" --version; done
"$FOLDER/bin/etcd" --version
say "built"
