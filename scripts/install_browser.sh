#!/bin/sh
# Finds a Chromium or, as root on Debian or Ubuntu, installs one. Says which; never fails: what
# needs a browser and has none says so itself.
set -u
for name in "${WEBCONV_CHROMIUM:-}" /usr/bin/chromium google-chrome chromium-browser; do
  if [ -n "$name" ] && command -v "$name" > /dev/null 2>&1; then
    echo "browser: $(command -v "$name")"
    exit 0
  fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null 2>&1; then
  echo "browser: installing chromium"
  apt-get update -qq > /dev/null 2>&1
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium \
    > /dev/null 2>&1
fi
command -v chromium || echo "browser: none; set WEBCONV_CHROMIUM, or run as root to install one"
exit 0
