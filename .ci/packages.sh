# shellcheck shell=bash
# Debian packages, sourced by ./test and .ci/run. Each is looked for by what it brings, not by its name:
# so apt-get is called only where something is missing, and other systems may bring it in their own way.

missing_packages=()

# want PACKAGES COMMAND...: the packages are missing if the command fails.
want() {
  local packages=$1
  shift
  "$@" >/dev/null 2>&1 </dev/null || read -ra missing_packages <<<"${missing_packages[*]} $packages"
}

compiles_c() {
  printf '#include <stdio.h>\n' | cc -E -
}

has_sftp_server() {
  local path
  for path in /usr/lib/openssh /usr/lib/ssh /usr/libexec/openssh /usr/libexec; do
    [[ ! -x $path/sftp-server ]] || return 0
  done
  return 1
}

want_what_the_tests_need() {
  want 'gcc libc6-dev' compiles_c
  want openssl openssl version
  want strace strace -V
  # The tests start servers of their own. Where the system has an init, the package also starts one, on its
  # usual port and on loopback only: `systemctl disable --now redis-server` if it is not wanted.
  want redis-server redis-server --version
  want oathtool oathtool --version
  want util-linux setpriv --version
  want systemd systemd-analyze --version
  # The loss of power is tested on disk images, where the tests run as root.
  want mount mount --version
  want e2fsprogs mkfs.ext4 -V
  # What `doctor` says of a network file system is tested on one.
  want sshfs sshfs --version
  want openssh-sftp-server has_sftp_server
  want 'python3 python3-venv' python3 -c 'import ensurepip, venv'
  want ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
}

want_what_only_ci_needs() {
  want 'nodejs npm' npm --version
}

# Without root it only says what to install: a test command does not ask for a password.
install_missing_packages() {
  ((${#missing_packages[@]})) || return 0
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    printf 'Not installed: %s\n' "${missing_packages[*]}" >&2
    printf 'On Debian: sudo apt-get install --no-install-recommends %s\n' "${missing_packages[*]}" >&2
    return 1
  fi
  printf 'Installing: %s\n' "${missing_packages[*]}"
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing_packages[@]}"
}

want_rust() {
  command -v cargo >/dev/null && return
  echo 'Not installed: a Rust toolchain. https://rustup.rs tells how.' >&2
  return 1
}
