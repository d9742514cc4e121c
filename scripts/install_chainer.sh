#!/bin/sh
# Makes the environment of Chainer, build/chainer, for the tests of its frontend.
# Chainer 7 needs NumPy below 2 and a setuptools that still has pkg_resources; webconv needs Python
# 3.11, and Chainer 3.11 or older. Without such a Python this says so, and the tests are skipped.
set -e

for candidate in "$1" python3.11; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2> /dev/null; then
    python="$candidate"
    break
  fi
done
if [ -z "$python" ]; then
  echo "There is no Python 3.11, so there is no Chainer: the tests of its frontend are skipped."
  exit 0
fi

"$python" -m venv build/chainer
pip() { build/chainer/bin/python -m pip install -q --disable-pip-version-check "$@"; }
pip wheel 'setuptools<66' numpy==1.26.4
pip --no-build-isolation chainer==7.8.1
pip -c constraints-chainer.txt h5py onnx jinja2 wasmtime click rich playwright scipy
pip --no-deps -e .
