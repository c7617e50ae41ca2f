#!/usr/bin/env bash
# Install a headless Chromium and its WebDriver for the browser tests. For Debian 12, as root; does nothing if they are there.
set -euo pipefail

if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests/browser/install.sh: needs root and apt-get (Debian) to install chromium and chromium-driver" >&2
    exit 77
fi

install_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 chromium chromium-driver
}

install_packages || { apt-get update -qq && install_packages; }
